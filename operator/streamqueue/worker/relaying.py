"""The worker's part in emptying the outboxes of its queue."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from contextlib import suppress

from redis.asyncio import Redis

from streamqueue.api.keys import Keys, shown
from streamqueue.maintenance.relay import NextRedis, relay
from streamqueue.streams.errors import RedisProblem

log = logging.getLogger(__name__)

BUDGET = 1.0  # seconds of one pass
INTERVAL = 5.0  # seconds between looks for what others left behind
PAUSE = 1.0  # seconds after a pass that could not deliver


class Relaying:
    """`soon()` after something went into an outbox; `keep()` runs for ever, `end()` comes after it.

    Where `connect_next_redis` returns a problem it is called again for each pass: the file that holds the URL may be
    there by then. The client that it returns is closed at the end.
    """

    def __init__(self, client: Redis, keys: Keys, connect_next_redis: Callable[[], NextRedis]) -> None:
        self._client = client
        self._keys = keys
        self._connect_next_redis = connect_next_redis
        self._next_redis = connect_next_redis()
        self._wake = asyncio.Event()

    def soon(self) -> None:
        self._wake.set()

    async def keep(self) -> None:
        while True:
            with suppress(TimeoutError):
                # Not wait_for, which before Python 3.12 forgets a cancellation that comes just after the event.
                async with asyncio.timeout(INTERVAL * random.uniform(0.5, 1.5)):  # noqa: S311 - jitter
                    await self._wake.wait()
            self._wake.clear()
            if not await self._once():
                await asyncio.sleep(PAUSE)

    async def end(self) -> None:
        """A last pass."""
        await self._once()
        if isinstance(self._next_redis, Redis):
            await self._next_redis.aclose()

    async def _once(self) -> bool:
        """False if something could not be delivered: it stays in its outbox."""
        if isinstance(self._next_redis, RedisProblem):
            self._next_redis = self._connect_next_redis()
        try:
            report = await relay(self._client, self._keys, budget=BUDGET, next_redis=self._next_redis)
        except RedisProblem as problem:
            log.warning("outboxes were not read: %s", problem.message)
            return False
        for target, why in report.stuck.items():
            log.warning("results for stream %s wait in the outbox: %s", shown(target), why.message)
        if report.is_cut and report.delivered:
            self.soon()
        return not report.stuck

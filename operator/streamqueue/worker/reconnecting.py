"""What a worker does while Redis is away: it waits, and tries again."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from redis.asyncio import Redis

from streamqueue.streams.connection import ServerChanged
from streamqueue.streams.errors import ProblemKind, RedisProblem
from streamqueue.streams.group import ensure_group
from streamqueue.worker.settings import Settings

log = logging.getLogger(__name__)

LONGEST_PAUSE = 5.0  # seconds between two tries


class Reconnecting:
    """Waits between tries, and ends a wait once `stopping` is set.

    At most `longest` seconds lie between two tries, so that a worker is back before others believe that its leases have
    expired.
    """

    def __init__(self, stopping: asyncio.Event, longest: float = LONGEST_PAUSE) -> None:
        self._stopping = stopping
        self._longest = min(longest, LONGEST_PAUSE)

    async def pause(self, failures: int) -> None:
        """Wait, longer with every failure in a row; a stop ends it."""
        longest = min(self._longest, 0.05 * 2 ** min(failures, 10))
        pause = longest * random.uniform(0.5, 1.0)  # noqa: S311 - jitter
        if self._stopping.is_set():
            await asyncio.sleep(pause)
        else:
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._stopping.wait()

    @asynccontextmanager
    async def connected(self, settings: Settings) -> AsyncIterator[Redis | None]:
        """A client while inside; a file that holds no URL yet is waited for. None after a stop, also while it connects.

        Raises RedisProblem for a URL of the environment that cannot be used.
        """
        failures = 0
        while not self._stopping.is_set():
            try:
                connecting = settings.connect()
            except RedisProblem as problem:
                if not settings.redis_url_file or problem.kind is not ProblemKind.BAD_URL:
                    raise
                failures += 1
                log.warning("%s", problem.message)
                await self.pause(failures)
            else:
                async with connecting as client:
                    yield None if self._stopping.is_set() else client
                return
        yield None

    async def until_the_group_exists(self, client: Redis, settings: Settings) -> None:
        """Create it where it is missing, and try again until that succeeds, or until a stop.

        Raises RedisProblem for a URL that cannot be used, and `ServerChanged`.
        """
        failures = 0
        while not self._stopping.is_set():
            try:
                await ensure_group(client, settings.stream, settings.group, settings.start_from)
            except RedisProblem as problem:
                if problem.kind is ProblemKind.BAD_URL and (
                    isinstance(problem, ServerChanged) or not settings.redis_url_file
                ):
                    raise
                failures += 1
                log.warning("%s", problem.message)
                await self.pause(failures)
            else:
                return

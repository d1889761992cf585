"""What a worker does while Redis is away: it waits, and tries again."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from redis.asyncio import Redis

from streamqueue.streams.connection import ServerChanged, node_of
from streamqueue.streams.errors import ProblemKind, RedisProblem
from streamqueue.streams.group import ensure_group
from streamqueue.streams.server import clock_of
from streamqueue.worker.settings import Settings

log = logging.getLogger(__name__)

LONGEST_PAUSE = 5.0  # seconds between two tries
SLACK = 1.0  # seconds by which the time in an entry's id may be older than the server's clock


class Reconnecting:
    """Waits between tries, and ends a wait once `stopping` is set.

    At most `longest` seconds lie between two tries, so that a worker is back before others believe that its leases have
    expired.
    """

    def __init__(self, stopping: asyncio.Event, longest: float = LONGEST_PAUSE) -> None:
        self._stopping = stopping
        self._longest = min(longest, LONGEST_PAUSE)
        self._seen_at: float | None = None  # loop time

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

    def seen(self, at: float) -> None:
        """The group was there at this loop time, or later."""
        self._seen_at = at

    async def until_the_group_exists(self, client: Redis, settings: Settings) -> None:
        """Create it where it is missing, and try again until that succeeds, or until a stop.

        Raises RedisProblem for a URL that cannot be used, and `ServerChanged`.
        """
        failures = 0
        while not self._stopping.is_set():
            begun = asyncio.get_running_loop().time()
            try:
                start = await self._beginning(client, settings)
                await ensure_group(client, settings.stream, settings.group, start)
            except RedisProblem as problem:
                if problem.kind is ProblemKind.BAD_URL and (
                    isinstance(problem, ServerChanged) or not settings.redis_url_file
                ):
                    raise
                failures += 1
                log.warning("%s", problem.message)
                await self.pause(failures)
            else:
                self.seen(begun)
                return

    async def _beginning(self, client: Redis, settings: Settings) -> str:
        """The id after which the group begins. One that was there goes on where it was when last seen: "$" would skip
        what has come since, as to a Redis that restarted with nothing.
        """
        if settings.start_from != "$" or self._seen_at is None:
            return settings.start_from
        now = await clock_of(await node_of(client, settings.stream))
        away = asyncio.get_running_loop().time() - self._seen_at + SLACK
        return f"{int((now - away) * 1000)}-0"

"""Ends of tasks, as they are announced: one connection for all who wait."""

from __future__ import annotations

import asyncio
import re
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from redis.asyncio import Redis

from streamqueue.streams.errors import RedisProblem, typed

PAUSE = 1.0  # seconds until a subscription that broke is tried again


class Announcements:
    """`with announcements.of(key) as event`: set when the task is over; a hint, since messages may be missed."""

    def __init__(self, client: Redis, prefix: str) -> None:
        self._client = client
        self._pattern = re.sub(r"([*?\[\]\\])", r"\\\1", prefix) + "*"
        self._events: dict[str, set[asyncio.Event]] = defaultdict(set)
        self._listener: asyncio.Task[None] | None = None

    @contextmanager
    def of(self, key: str) -> Iterator[asyncio.Event]:
        if self._listener is None:
            self._listener = asyncio.create_task(self._listen())
        event = asyncio.Event()
        self._events[key].add(event)
        try:
            yield event
        finally:
            self._events[key].discard(event)
            if not self._events[key]:
                del self._events[key]

    async def close(self) -> None:
        if self._listener:
            self._listener.cancel()
            with suppress(asyncio.CancelledError):
                await self._listener

    async def _listen(self) -> None:
        while True:
            with suppress(RedisProblem):
                await typed(self._subscribed())
            await asyncio.sleep(PAUSE)

    async def _subscribed(self) -> None:
        async with self._client.pubsub() as messages:
            await messages.psubscribe(self._pattern)
            while True:
                # Ends now and then, so that a connection that died in silence is noticed by its health check.
                message = await messages.get_message(timeout=PAUSE)
                if message and message["type"] == "pmessage":
                    for event in self._events.get(message["channel"].decode("utf-8", "replace"), ()):
                        event.set()

"""Whether the handler accepts connections: not yet at the start, and not for a while after it crashed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

log = logging.getLogger(__name__)

PAUSE = 0.1  # seconds between two looks
PATIENCE = 5.0  # seconds for one


class Listening:
    """Calls `pause` at once, and after each `lost()`; calls `resume` when `address` accepts a connection again."""

    def __init__(self, address: tuple[str, int], pause: Callable[[], None], resume: Callable[[], None]) -> None:
        self._address = address
        self._pause = pause
        self._resume = resume
        self._is_lost = asyncio.Event()
        self.lost()

    def lost(self) -> None:
        """A connection was refused."""
        self._pause()
        self._is_lost.set()

    async def keep(self) -> None:
        while True:
            await self._is_lost.wait()
            log.info("waiting for the handler at %s:%d", *self._address)
            while not await self._accepts():  # noqa: ASYNC110 - the event is in another process
                await asyncio.sleep(PAUSE)
            self._is_lost.clear()
            log.info("the handler listens")
            self._resume()

    async def _accepts(self) -> bool:
        try:
            async with asyncio.timeout(PATIENCE):
                _, writer = await asyncio.open_connection(*self._address)
        except OSError:  # TimeoutError is one
            return False
        writer.close()
        return True

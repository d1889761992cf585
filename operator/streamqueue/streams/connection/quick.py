"""What a connection of redis-py does for each command, for less."""

from __future__ import annotations

import asyncio
import math
from typing import Any

from redis.exceptions import ConnectionError, TimeoutError
from redis.utils import HIREDIS_AVAILABLE

if HIREDIS_AVAILABLE:
    import hiredis


class Quick:
    """Packs in C where hiredis is there, starts no task for each write, and no timer for each read."""

    is_connected: bool
    socket_timeout: float | None
    _writer: Any
    _patience: asyncio.TimerHandle | None = None  # one for many reads
    _read_until: float | None = None  # loop time, while a reply is waited for
    _is_late = False

    async def _connect(self) -> None:
        if self._patience:  # of another event loop, perhaps
            self._patience.cancel()
            self._patience = None
        await super()._connect()  # type: ignore[misc]

    def pack_command(self, *args: Any) -> list[bytes]:
        if HIREDIS_AVAILABLE:
            try:
                return [hiredis.pack_command((*args[0].split(), *args[1:]))]  # "SCRIPT LOAD" are two words
            except TypeError:
                pass  # redis-py says which argument is none
        packed: list[bytes] = super().pack_command(*args)  # type: ignore[misc]
        return packed

    async def send_packed_command(self, command: Any, check_health: bool = True) -> None:
        if check_health and self.is_connected:
            await self.check_health()  # type: ignore[attr-defined]
        if self.is_connected and isinstance(command, list):
            self._writer.writelines(command)
            if not self._writer.transport.get_write_buffer_size():
                return
            command = []  # the socket did not take all of it: what is left needs a clock
        await super().send_packed_command(command, check_health=False)  # type: ignore[misc]

    async def read_response(
        self,
        disable_decoding: bool = False,
        timeout: float | None = None,  # noqa: ASYNC109 - redis-py's
        **options: Any,
    ) -> Any:
        if timeout is not None or self.socket_timeout is None:
            return await super().read_response(disable_decoding, timeout, **options)  # type: ignore[misc]
        self._watch(self.socket_timeout)
        try:
            return await super().read_response(disable_decoding, math.inf, **options)  # type: ignore[misc]
        except ConnectionError:
            if self._is_late:
                raise TimeoutError("Timeout reading from the socket") from None
            raise
        finally:
            self._read_until = None

    def _watch(self, timeout: float) -> None:
        loop = asyncio.get_running_loop()
        self._read_until, self._is_late = loop.time() + timeout, False
        if self._patience is None:
            self._patience = loop.call_at(self._read_until, self._look, loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        """The read that began last has its time; one that has had it finds the connection closed."""
        self._patience = None
        if self._read_until is None:
            return
        if self._read_until > loop.time():
            self._patience = loop.call_at(self._read_until, self._look, loop)
        elif self._writer:
            self._is_late = True
            self._writer.transport.abort()

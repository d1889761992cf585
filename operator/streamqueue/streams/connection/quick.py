"""What a connection of redis-py does for each command, for less."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

from redis.exceptions import ConnectionError, ResponseError, TimeoutError
from redis.utils import HIREDIS_AVAILABLE

from streamqueue.streams.errors import ProblemKind, classify

if HIREDIS_AVAILABLE:
    import hiredis


class Quick:
    """Packs in C where hiredis is there, starts no task for each write, and no timer for each read."""

    is_connected: bool
    socket_timeout: Any  # seconds
    health_check_interval: Any
    next_health_check: Any
    _parser: Any
    _writer: Any
    _patience: asyncio.TimerHandle | None = None  # one for many reads
    _read_until: float | None = None  # loop time, while a reply is waited for
    _is_late = False

    @property
    def has_ended(self) -> bool:
        """By a reset, which redis-py does not see: for it this is still connected."""
        return bool(self._writer) and self._writer.transport.is_closing()

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
        if self.has_ended:  # which asyncio tells by an AttributeError from Python 3.12 on
            await self.disconnect(nowait=True)  # type: ignore[attr-defined]
            raise ConnectionError("Connection closed by server.")
        if self.is_connected and isinstance(command, list):
            self._writer.writelines(command)
            if not self._writer.transport.get_write_buffer_size():
                return
            command = []  # the socket did not take all of it: what is left needs a clock
        await super().send_packed_command(command, check_health=False)  # type: ignore[misc]

    async def reply(self) -> Any:
        """What redis-py's `read_response()` returns and raises; after a failure the connection is closed."""
        now = self._watch()
        try:
            found = await self._parser.read_response()
        except BaseException as error:
            is_late = self._is_late
            await self.disconnect(nowait=True)  # type: ignore[attr-defined]
            if is_late and isinstance(error, (ConnectionError, OSError)):
                raise TimeoutError("Timeout reading from the socket") from None
            if isinstance(error, OSError):
                raise ConnectionError(f"Error while reading from the socket: {error.args}") from error
            raise
        finally:
            self._read_until = None
        self.next_health_check = now + self.health_check_interval
        if isinstance(found, ResponseError):
            self._heed(found)
            raise found from None
        return found

    async def read_response(self, *args: Any, **options: Any) -> Any:
        """Of commands that go redis-py's own way."""
        try:
            return await super().read_response(*args, **options)  # type: ignore[misc]
        except ResponseError as error:
            self._heed(error)
            raise

    def _heed(self, error: ResponseError) -> None:
        """After a failover reconnect: the old primary, a replica now, keeps its connections open, while the address
        leads to the new one.
        """
        if classify(error).kind in (ProblemKind.READ_ONLY, ProblemKind.UNREACHABLE):
            self.mark_for_reconnect()  # type: ignore[attr-defined]

    def _watch(self) -> float:
        """From now on; returns the loop's time."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        self._read_until, self._is_late = now + self.socket_timeout, False
        if self._patience is None:
            self._patience = loop.call_at(self._read_until, self._look, loop)
        return now

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


def reply_on(connection: Any) -> Awaitable[Any]:
    """The reply that comes next; on a connection of somebody else's pool as well."""
    return connection.reply() if isinstance(connection, Quick) else connection.read_response()

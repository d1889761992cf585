"""Connection pools in which a command waits for a free connection, where redis-py's pool would refuse it.

redis-py's BlockingConnectionPool does wait, but a waiter that is cancelled takes its turn along. And the metrics of
redis-py's pools take longer than a short command: here a connection is only taken, checked, and put back.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

from redis import exceptions as r
from redis.asyncio import ConnectionPool
from redis.asyncio.sentinel import SentinelConnectionPool

PATIENCE = 5.0  # seconds until somebody's connection is free


class _InTurns:
    get_available_connection: Any
    ensure_connection: Any
    _available_connections: list[Any]
    _in_use_connections: set[Any]

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def get_connection(self, *_: Any, **__: Any) -> Any:
        deadline: float | None = None
        while True:
            try:
                connection = self.get_available_connection()
            except r.MaxConnectionsError:
                deadline = deadline or asyncio.get_running_loop().time() + PATIENCE
            else:
                break
            await self._one_is_free(deadline)
        try:
            if connection.has_ended:
                await connection.disconnect(nowait=True)
            # The same look as in ensure_connection(), which takes several coroutines to find that all is well.
            if not connection.is_connected or await connection.can_read():
                await self.ensure_connection(connection)
        except BaseException:
            await self.release(connection)
            raise
        return connection

    async def release(self, connection: Any) -> None:
        self._in_use_connections.remove(connection)
        try:
            if connection.should_reconnect():
                await connection.disconnect()
        finally:
            self._available_connections.append(connection)
            self._call_next()

    async def disconnect(self, inuse_connections: bool = True) -> None:
        """Without a wait for the other side, whose goodbye TLS would have, too: it may be silent."""
        for connection in (*self._available_connections, *(self._in_use_connections if inuse_connections else ())):
            await connection.disconnect(nowait=True)

    async def _one_is_free(self, deadline: float) -> None:
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            async with asyncio.timeout_at(deadline):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():
                self._call_next()  # called, and gone: the turn is the next one's
            if isinstance(error, TimeoutError):
                raise r.TimeoutError("all connections are in use") from None
            raise

    def _call_next(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return


class Pool(_InTurns, ConnectionPool):
    pass


class SentinelPool(_InTurns, SentinelConnectionPool):
    pass

"""Connection pools and their connections: dead ones are replaced, and no command is ever sent twice."""

from __future__ import annotations

import asyncio
import socket
from typing import Any, Protocol, runtime_checkable

from redis.asyncio import Connection, ConnectionPool, Redis, SSLConnection
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import SentinelManagedConnection
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, ConnectionError, TimeoutError

from streamqueue.streams.connection.quick import Quick
from streamqueue.streams.connection.turns import Pool
from streamqueue.streams.connection.url_file import UrlFile

TIMEOUT = 5.0  # seconds, to connect and for each answer
HEALTH_CHECK_INTERVAL = 30  # seconds without traffic after which a PING goes first
MAX_CONNECTIONS = 16  # to one server
# Seconds of silence, seconds between two tries, tries; macOS calls the first TCP_KEEPALIVE.
KEEPALIVE = {"TCP_KEEPIDLE": 60, "TCP_KEEPALIVE": 60, "TCP_KEEPINTVL": 15, "TCP_KEEPCNT": 4}


def options() -> dict[str, Any]:
    """What every connection has in common. Replies are bytes (RESP2)."""
    return {
        "socket_timeout": TIMEOUT,
        "socket_connect_timeout": TIMEOUT,
        "socket_keepalive": True,
        "socket_keepalive_options": {
            getattr(socket, name): value for name, value in KEEPALIVE.items() if hasattr(socket, name)
        },
        "health_check_interval": HEALTH_CHECK_INTERVAL,
        "retry": Retry(NoBackoff(), 0),
        "max_connections": MAX_CONNECTIONS,
        "protocol": 2,
        # No CLIENT SETINFO: two commands less before the first of ours.
        "driver_info": None,
    }


@runtime_checkable
class Renewing(Protocol):
    """Credentials that change while connections live."""

    version: int  # another number with every change

    def refused(self) -> None:
        """The server doesn't take them."""


class _Reviving(Quick):
    """PING first on a connection that was idle for long; if it is dead, connect anew. AUTH first where the
    credentials were renewed. A user and password in a `url_file` are read before each connecting.

    Services in between cut idle connections (Azure after 10 minutes). A PING may be repeated safely, a command may not:
    hence this instead of redis-py's retries, which would repeat an XADD whose reply was lost.
    """

    credential_provider: Any
    is_connected: bool
    _version: int | None = None  # of the credentials that this connection was last authenticated with

    def __init__(self, *, url_file: UrlFile | None = None, **options: Any) -> None:
        super().__init__(**options)
        self._url_file = url_file

    async def _connect(self) -> None:
        if self._url_file:
            self.username, self.password = self._url_file.address().login
        await super()._connect()

    async def on_connect_check_health(self, check_health: bool = True) -> None:
        version = getattr(self.credential_provider, "version", None)
        try:
            await super().on_connect_check_health(check_health)  # type: ignore[misc]
        except AuthenticationError:
            self._refused()
            raise
        self._version = version

    async def check_health(self) -> None:
        if self.credential_provider is not None:
            await self._renew()
        if asyncio.get_running_loop().time() <= self.next_health_check:
            return  # as nearly always: there is no need to ask redis-py
        try:
            await super().check_health()  # type: ignore[misc]
        except (ConnectionError, TimeoutError):
            await super().check_health()  # type: ignore[misc]

    async def _renew(self) -> None:
        version = getattr(self.credential_provider, "version", None)
        if version == self._version or not self.is_connected:
            return
        try:
            login = await self.credential_provider.get_credentials_async()
            await self.send_command("AUTH", *login, check_health=False)  # type: ignore[attr-defined]
            await self.reply()
            self._version = version
        except AuthenticationError:
            self._refused()
            raise
        except (ConnectionError, TimeoutError):
            await self.disconnect()  # type: ignore[attr-defined]

    def _refused(self) -> None:
        if isinstance(self.credential_provider, Renewing):
            self.credential_provider.refused()


class Plain(_Reviving, Connection):
    pass


class Secure(_Reviving, SSLConnection):
    """`server_name`: the name the certificate must be for, where it isn't the host that is connected to."""

    def __init__(self, *, server_name: str | None = None, **options: Any) -> None:
        super().__init__(**options)
        self._server_name = server_name

    def _connection_arguments(self) -> dict[str, Any]:
        arguments = dict(super()._connection_arguments())
        return arguments | {"server_hostname": self._server_name} if self._server_name else arguments


class PlainBySentinel(_Reviving, SentinelManagedConnection):
    async def reply(self) -> Any:
        return await self.read_response()  # which knows what a primary that is none any more says


class SecureBySentinel(PlainBySentinel, SSLConnection):
    pass


def pool_of(secure: bool, settings: dict[str, Any]) -> ConnectionPool:
    return Pool(connection_class=Secure if secure else Plain, **settings)


def block_for(client: Redis, seconds: float) -> int:
    """The BLOCK argument, in ms and at least 1, of a read that may block for `seconds`: less where the connection's own
    timeout, which the URL may set, would come first.
    """
    timeout: float = client.connection_pool.connection_kwargs.get("socket_timeout") or TIMEOUT
    return max(1, int(min(seconds, timeout / 2) * 1000))

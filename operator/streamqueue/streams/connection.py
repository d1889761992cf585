"""Connections to Redis: one client per endpoint, however many queues."""

from __future__ import annotations

import socket
from typing import Any
from urllib.parse import urlsplit

from redis.asyncio import Connection, ConnectionPool, Redis, SSLConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError, TimeoutError

from streamqueue.streams.errors import ProblemKind, RedisProblem

TIMEOUT = 5.0  # seconds, to connect and for each answer
HEALTH_CHECK_INTERVAL = 30  # seconds without traffic after which a PING goes first
MAX_CONNECTIONS = 16


class _Reviving:
    """PING first on a connection that was idle for long; if it is dead, connect anew.

    Services in between cut idle connections (Azure after 10 minutes). A PING may be repeated safely, a command may not:
    hence this instead of redis-py's retries, which would repeat an XADD whose reply was lost.
    """

    async def check_health(self) -> None:
        try:
            await super().check_health()  # type: ignore[misc]
        except (ConnectionError, TimeoutError):
            await super().check_health()  # type: ignore[misc]


class _Plain(_Reviving, Connection):
    pass


class _Secure(_Reviving, SSLConnection):
    pass


def connect(url: str, *, ca_file: str | None = None) -> Redis:
    """A client for `redis://` or `rediss://`. Opens nothing yet; commands are never sent twice.

    Replies are bytes (RESP2). `ca_file` is a PEM file of the CA to trust for `rediss://` instead of the system's.
    Raises RedisProblem(BAD_URL) for a URL that cannot be read.
    """
    return Redis(connection_pool=_pool(url, ca_file))


def _pool(url: str, ca_file: str | None) -> ConnectionPool:
    options: dict[str, Any] = {
        "socket_timeout": TIMEOUT,
        "socket_connect_timeout": TIMEOUT,
        "socket_keepalive": True,
        "socket_keepalive_options": {
            socket.TCP_KEEPIDLE: 60,
            socket.TCP_KEEPINTVL: 15,
            socket.TCP_KEEPCNT: 4,
        },
        "health_check_interval": HEALTH_CHECK_INTERVAL,
        "retry": Retry(NoBackoff(), 0),
        "max_connections": MAX_CONNECTIONS,
        "protocol": 2,
    }
    try:
        secure = urlsplit(url).scheme == "rediss"
        if secure and ca_file:
            options["ssl_ca_certs"] = ca_file
        pool = ConnectionPool.from_url(url, **options)
    except ValueError:
        pool = None
    if pool is None or urlsplit(url).scheme not in ("redis", "rediss"):
        raise RedisProblem(ProblemKind.BAD_URL)
    pool.connection_class = _Secure if secure else _Plain
    return pool

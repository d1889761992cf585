"""From a URL to a client."""

from __future__ import annotations

from typing import Any

from redis.asyncio import Redis
from redis.asyncio.sentinel import Sentinel
from redis.credentials import CredentialProvider

from streamqueue.api.spec import RedisMode
from streamqueue.streams.connection import pool
from streamqueue.streams.connection.address import Address, read_url
from streamqueue.streams.connection.cluster import ClusterClient
from streamqueue.streams.connection.turns import SentinelPool
from streamqueue.streams.connection.url_file import SentinelLogin, UrlFile
from streamqueue.streams.errors import ProblemKind, RedisProblem

SENTINEL_TIMEOUT = 1.0  # seconds for one sentinel: the next one is asked then


def connect(
    url: str | UrlFile,
    *,
    mode: RedisMode = RedisMode.AUTO,
    ca_file: str | None = None,
    ca_data: str | None = None,
    credentials: CredentialProvider | None = None,
) -> Redis:
    """A client for `redis://`, `rediss://` or `redis+sentinel://`. Opens nothing yet; commands are never sent twice.

    Replies are bytes (RESP2). `ca_file` (a path) or `ca_data` (PEM) is the CA to trust for TLS instead of the system's.
    `credentials` stand in for user and password of the URL; those of a file are read anew for each connection.
    A cluster is recognised by its first redirection in mode auto; mode cluster learns its nodes first, so that the host
    of the URL may be gone later.
    Raises RedisProblem(BAD_URL) for a URL that cannot be read or doesn't go with the rest.
    """
    file = url if isinstance(url, UrlFile) else None
    address = file.address() if file else read_url(str(url))
    settings = pool.options() | address.settings
    if credentials:
        if address.settings.get("username") or address.settings.get("password"):
            raise RedisProblem(ProblemKind.BAD_URL, "with tokens for passwords the URL must hold no user or password")
        settings["credential_provider"] = credentials
    elif file:
        settings["url_file"] = file
    if address.secure:
        settings |= _trust(ca_file, ca_data)
    if (mode is RedisMode.SENTINEL) != bool(address.service) and mode is not RedisMode.AUTO:
        raise RedisProblem(
            ProblemKind.BAD_URL,
            "mode sentinel goes with a URL redis+sentinel://host:26379,host:26379/name/0, other modes with redis://",
        )
    if address.service:
        return _by_sentinel(address, settings, file)
    if mode is RedisMode.STANDALONE:
        return _client(address.secure, settings)
    return ClusterClient(settings, secure=address.secure, certain=mode is RedisMode.CLUSTER)


def _client(secure: bool, settings: dict[str, Any]) -> Redis:
    return Redis.from_pool(pool.pool_of(secure, settings))


def _trust(ca_file: str | None, ca_data: str | None) -> dict[str, Any]:
    return {"ssl_ca_certs": ca_file} if ca_file else {"ssl_ca_data": ca_data} if ca_data else {}


def _by_sentinel(address: Address, settings: dict[str, Any], file: UrlFile | None) -> Redis:
    """Every new connection asks the sentinels who is primary."""
    asking = {name: value for name, value in settings.items() if name.startswith(("ssl_", "socket_"))} | {
        "socket_timeout": SENTINEL_TIMEOUT,
        "socket_connect_timeout": SENTINEL_TIMEOUT,
        "retry": settings["retry"],
        "protocol": 2,
        "driver_info": None,
    }
    username, password = address.sentinel_login
    if file and (username or password):
        asking["credential_provider"] = SentinelLogin(file)
    else:
        asking |= {"username": username, "password": password}
    manager = Sentinel([])  # type: ignore[no-untyped-call]
    manager.sentinels = [
        _client(address.secure, asking | {"host": host, "port": port}) for host, port in address.sentinels
    ]
    kind = pool.SecureBySentinel if address.secure else pool.PlainBySentinel
    known_by = {"connection_class": kind, **settings}
    return Redis.from_pool(SentinelPool(address.service, manager, **known_by))

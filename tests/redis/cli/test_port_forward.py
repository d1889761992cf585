"""A client that is led to another address still checks the name in its URL."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from redis.asyncio import Redis

from streamqueue.cli.port_forward import lead_through
from streamqueue.streams import ProblemKind, RedisProblem, connect
from streamqueue.streams.errors import execute
from tests.redis.servers.process import RunningServer
from tests.redis.servers.tls import TlsServer


async def test_the_certificate_is_checked_against_the_name_in_the_url(
    tls_server: Callable[[str], TlsServer],
) -> None:
    tls = tls_server("DNS:redis.shop.svc")  # a name that has no address here
    async with connect("rediss://redis.shop.svc:6380/0", ca_file=str(tls.ca)) as client:
        lead_through(client, tls.port)
        assert await execute(client, "PING")
    async with connect("rediss://redis.other.svc:6380/0", ca_file=str(tls.ca)) as client:
        lead_through(client, tls.port)
        with pytest.raises(RedisProblem, match="another host name") as caught:
            await execute(client, "PING")
    assert caught.value.kind is ProblemKind.TLS


async def test_without_tls_as_well(shared_server: RunningServer, redis: Redis) -> None:
    await redis.set("here", "1")
    async with connect("redis://redis.shop.svc:6379/0") as client:
        lead_through(client, shared_server.port)
        assert await execute(client, "GET", "here") == b"1"

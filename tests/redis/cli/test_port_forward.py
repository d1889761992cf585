"""A client that is led to another address still checks the name in its URL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from streamqueue.cli.port_forward import lead_through
from streamqueue.streams import ProblemKind, RedisProblem, connect
from streamqueue.streams.errors import execute
from tests.redis.servers.install import Server
from tests.redis.servers.process import RunningServer, free_port
from tests.redis.test_tls import authority, certificate


@pytest.fixture
def ca(tmp_path: Path) -> Path:
    return authority(tmp_path, "private-ca")


@pytest.fixture
async def tls_port(server: Server, tmp_path: Path, ca: Path) -> AsyncIterator[int]:
    """A TLS server for a name that has no address here."""
    signed, port = certificate(tmp_path, ca, "DNS:redis.shop.svc"), free_port()
    settings = {
        "port": "0",
        "tls-port": str(port),
        "tls-cert-file": str(signed),
        "tls-key-file": str(signed.with_suffix(".key")),
        "tls-ca-cert-file": str(ca),
        "tls-auth-clients": "no",
    }
    running = await asyncio.to_thread(RunningServer, server, settings)
    yield port
    running.close()


async def test_the_certificate_is_checked_against_the_name_in_the_url(tls_port: int, ca: Path) -> None:
    async with connect("rediss://redis.shop.svc:6380/0", ca_file=str(ca)) as client:
        lead_through(client, tls_port)
        assert await execute(client, "PING")
    async with connect("rediss://redis.other.svc:6380/0", ca_file=str(ca)) as client:
        lead_through(client, tls_port)
        with pytest.raises(RedisProblem, match="another host name") as caught:
            await execute(client, "PING")
    assert caught.value.kind is ProblemKind.TLS


async def test_without_tls_as_well(shared_server: RunningServer, redis: Redis) -> None:
    await redis.set("here", "1")
    async with connect("redis://redis.shop.svc:6379/0") as client:
        lead_through(client, shared_server.port)
        assert await execute(client, "GET", "here") == b"1"

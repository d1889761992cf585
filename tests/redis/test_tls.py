"""TLS with a private CA: verified always, by name too."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from streamqueue.streams import ProblemKind, RedisProblem, Snapshot, SnapshotRequest, connect, take_snapshots
from streamqueue.streams.errors import execute
from tests.redis.proxy import Proxy
from tests.redis.servers.tls import TlsServer, authority


@pytest.fixture
def tls(tls_server: Callable[[str], TlsServer]) -> TlsServer:
    """Certified for localhost, not for 127.0.0.1."""
    return tls_server("DNS:localhost")


async def look(url: str, ca: Path | None) -> Snapshot | RedisProblem:
    async with connect(url, ca_file=str(ca) if ca else None) as client:
        (answer,) = await take_snapshots(client, [SnapshotRequest("orders", "workers")])
        return answer


async def test_the_private_ca_is_trusted(tls: TlsServer) -> None:
    assert isinstance(await look(f"rediss://localhost:{tls.port}", tls.ca), Snapshot)


async def test_without_the_ca_nothing_is_trusted(tls: TlsServer) -> None:
    answer = await look(f"rediss://localhost:{tls.port}", None)
    assert isinstance(answer, RedisProblem) and answer.kind is ProblemKind.TLS
    assert "certificate" in answer.message


async def test_another_ca_is_not_trusted(tls: TlsServer, tmp_path: Path) -> None:
    answer = await look(f"rediss://localhost:{tls.port}", authority(tmp_path, "other-ca"))
    assert isinstance(answer, RedisProblem) and answer.kind is ProblemKind.TLS


async def test_a_certificate_for_another_name_is_refused(tls: TlsServer) -> None:
    answer = await look(f"rediss://127.0.0.1:{tls.port}", tls.ca)
    assert isinstance(answer, RedisProblem) and answer.kind is ProblemKind.TLS


@pytest.mark.parametrize("options", ["ssl_cert_reqs=none", "ssl_check_hostname=false", "ssl_cert_reqs=optional"])
async def test_no_option_of_a_url_switches_verification_off(tls: TlsServer, options: str) -> None:
    for host, ca in (("localhost", None), ("127.0.0.1", tls.ca)):
        answer = await look(f"rediss://{host}:{tls.port}?{options}", ca)
        assert isinstance(answer, RedisProblem) and answer.kind is ProblemKind.TLS


async def test_a_client_is_closed_at_once_where_the_other_side_is_silent(tls: TlsServer) -> None:
    """It would be asked for a goodbye, and the wait for it end as an error: of a worker that had ended well."""
    async with Proxy(tls.port) as proxy:
        client = connect(proxy.url.replace("redis://127.0.0.1", "rediss://localhost"), ca_file=str(tls.ca))
        await execute(client, "PING")
        proxy.silence()
        async with asyncio.timeout(2):
            await client.aclose()

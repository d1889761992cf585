"""TLS with a private CA: verified always, by name too."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from streamqueue.streams import ProblemKind, RedisProblem, Snapshot, SnapshotRequest, connect, take_snapshots
from tests.redis.servers.install import Server
from tests.redis.servers.process import RunningServer, free_port


def authority(folder: Path, name: str) -> Path:
    """A CA's certificate; its key lies beside it."""
    certificate = folder / f"{name}.pem"
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1",
            "-subj", f"/CN={name}", "-keyout", certificate.with_suffix(".key"), "-out", certificate)  # fmt: skip
    return certificate


def certificate(folder: Path, ca: Path, names: str) -> Path:
    """A server's certificate for `names`; its key lies beside it."""
    request, signed = folder / "server.csr", folder / "server.pem"
    openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=redis",
            "-keyout", signed.with_suffix(".key"), "-out", request)  # fmt: skip
    extensions = folder / "san.cnf"
    extensions.write_text(f"subjectAltName={names}\n")
    openssl("x509", "-req", "-in", request, "-CA", ca, "-CAkey", ca.with_suffix(".key"), "-CAcreateserial",
            "-days", "1", "-extfile", extensions, "-out", signed)  # fmt: skip
    return signed


def openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)


@pytest.fixture
def ca(tmp_path: Path) -> Path:
    return authority(tmp_path, "private-ca")


@pytest.fixture
async def tls_port(server: Server, tmp_path: Path, ca: Path) -> AsyncIterator[int]:
    """A server that speaks TLS only, certified for localhost, not for 127.0.0.1."""
    signed = certificate(tmp_path, ca, "DNS:localhost")
    port = free_port()
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


async def look(url: str, ca: Path | None) -> Snapshot | RedisProblem:
    async with connect(url, ca_file=str(ca) if ca else None) as client:
        (answer,) = await take_snapshots(client, [SnapshotRequest("orders", "workers")])
        return answer


async def test_the_private_ca_is_trusted(tls_port: int, ca: Path) -> None:
    assert isinstance(await look(f"rediss://localhost:{tls_port}", ca), Snapshot)


async def test_without_the_ca_nothing_is_trusted(tls_port: int) -> None:
    answer = await look(f"rediss://localhost:{tls_port}", None)
    assert isinstance(answer, RedisProblem) and answer.kind is ProblemKind.TLS
    assert "certificate" in answer.message


async def test_another_ca_is_not_trusted(tls_port: int, tmp_path: Path) -> None:
    answer = await look(f"rediss://localhost:{tls_port}", authority(tmp_path, "other-ca"))
    assert isinstance(answer, RedisProblem) and answer.kind is ProblemKind.TLS


async def test_a_certificate_for_another_name_is_refused(tls_port: int, ca: Path) -> None:
    answer = await look(f"rediss://127.0.0.1:{tls_port}", ca)
    assert isinstance(answer, RedisProblem) and answer.kind is ProblemKind.TLS

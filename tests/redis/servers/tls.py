"""A server that speaks TLS alone, with a private CA of its own."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.redis.servers.install import Server
from tests.redis.servers.process import RunningServer, free_port

EC = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


def authority(folder: Path, name: str) -> Path:
    """A CA's certificate; its key lies beside it."""
    certificate = folder / f"{name}.pem"
    openssl("req", "-x509", *EC, "-days", "1", "-subj", f"/CN={name}", "-addext", "keyUsage=critical,keyCertSign",
            "-keyout", certificate.with_suffix(".key"), "-out", certificate)  # fmt: skip
    return certificate


def certificate(folder: Path, ca: Path, names: str) -> Path:
    """A server's certificate for `names`, such as `DNS:localhost`; its key lies beside it."""
    request, signed, extensions = folder / "server.csr", folder / "server.pem", folder / "san.cnf"
    openssl("req", *EC, "-subj", "/CN=redis", "-keyout", signed.with_suffix(".key"), "-out", request)
    extensions.write_text(f"subjectAltName={names}\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n")
    openssl("x509", "-req", "-in", request, "-CA", ca, "-CAkey", ca.with_suffix(".key"), "-CAcreateserial",
            "-days", "1", "-extfile", extensions, "-out", signed)  # fmt: skip
    return signed


def openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)


def settings(signed: Path, ca: Path, port: int) -> dict[str, str]:
    """Configuration lines: TLS on `port`, no plain port."""
    return {
        "port": "0",
        "tls-port": str(port),
        "tls-cert-file": str(signed),
        "tls-key-file": str(signed.with_suffix(".key")),
        "tls-ca-cert-file": str(ca),
        "tls-auth-clients": "no",
    }


class TlsServer:
    """Certified for `names` by `ca`, which lies in `folder`."""

    def __init__(self, server: Server, folder: Path, names: str) -> None:
        if not server.tls:
            pytest.skip("no TLS")
        self.ca = authority(folder, "private-ca")
        self.port = free_port()
        self._running = RunningServer(server, settings(certificate(folder, self.ca, names), self.ca, self.port))

    def close(self) -> None:
        self._running.close()

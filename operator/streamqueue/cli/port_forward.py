"""A way to Redis inside the cluster, through the API server.

`kubectl port-forward` as a child: it knows every login plug-in and whichever tunnel protocol the API server speaks.
"""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from redis.asyncio import Redis, SSLConnection

from streamqueue.cli.errors import Failure

START_TIMEOUT = 20.0  # seconds

_FORWARDING = re.compile(r"Forwarding from 127\.0\.0\.1:([0-9]+)")
_SERVICE = re.compile(
    r"(?:(?P<pod>[a-z0-9-]+)\.)?(?P<name>[a-z0-9-]+)\.(?P<namespace>[a-z0-9-]+)\.svc(\.[a-z0-9.-]+)?\.?"
)


@dataclass(frozen=True, slots=True)
class Address:
    """A Service, or one pod behind it."""

    namespace: str
    service: str
    pod: str | None = None

    @property
    def resource(self) -> str:
        """As kubectl names it."""
        return f"pod/{self.pod}" if self.pod else f"service/{self.service}"


def cluster_address(host: str, namespace: str) -> Address | None:
    """The Service that `host` would be for a pod in `namespace`; None where it can't be one.

    `redis.data` may be a Service or a public name: whether there is such a Service decides.
    """
    host = host.lower().rstrip(".")
    if found := _SERVICE.fullmatch(host):
        return Address(found["namespace"], found["name"], found["pod"])
    labels = host.split(".")
    if host == "localhost" or len(labels) > 2 or not all(re.fullmatch(r"[a-z][a-z0-9-]*", label) for label in labels):
        return None
    return Address(labels[1] if len(labels) == 2 else namespace, labels[0])


@asynccontextmanager
async def port_forward(address: Address, port: int, context: str | None) -> AsyncIterator[int]:
    """A port of 127.0.0.1 that leads to `port` of `address`, while the block runs. Raises Failure."""
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        raise Failure(f"Redis is at {address.resource} inside the cluster: kubectl is needed on the PATH to reach it")
    where = ["--context", context] if context else []
    child = await asyncio.create_subprocess_exec(
        *(kubectl, *where, "--namespace", address.namespace, "port-forward", "--address", "127.0.0.1"),
        *(address.resource, f":{port}"),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert child.stdout
    drain: asyncio.Task[None] | None = None
    try:
        local = await _local_port(child.stdout, address)
        # It writes a line for each connection: a full pipe must not stop it.
        drain = asyncio.create_task(_drain(child.stdout))
        yield local
    finally:
        if drain:
            drain.cancel()
        with suppress(ProcessLookupError):
            child.terminate()
        await child.wait()


async def _local_port(lines: asyncio.StreamReader, address: Address) -> int:
    last = "no answer"
    with suppress(TimeoutError):
        async with asyncio.timeout(START_TIMEOUT):
            async for line in lines:
                last = line.decode("utf-8", "replace").strip()
                if found := _FORWARDING.search(last):
                    return int(found[1])
    raise Failure(f"no port-forward to {address.resource} in namespace {address.namespace}: {last}")


async def _drain(lines: asyncio.StreamReader) -> None:
    while await lines.read(65536):
        pass


def lead_through(client: Redis, port: int) -> None:
    """Have `client` connect to `port` of 127.0.0.1; certificates are still checked against the name in the URL."""
    pool = client.connection_pool
    original = pool.connection_class

    class Forwarded(original):  # type: ignore[misc, valid-type]
        def _connection_arguments(self) -> dict[str, object]:
            arguments = dict(super()._connection_arguments())
            if issubclass(original, SSLConnection):
                arguments["server_hostname"] = self.host
            return arguments | {"host": "127.0.0.1", "port": port}

    pool.connection_class = Forwarded

"""The way to a Service by kubectl, which is a program of the test here."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from streamqueue.cli import port_forward as module
from streamqueue.cli.errors import Failure
from streamqueue.cli.port_forward import Address, port_forward

REDIS = Address("data", "redis")


@pytest.fixture
def kubectl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """A program to be written, before all others on the PATH."""
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

    def write(script: str) -> Path:
        program = tmp_path / "kubectl"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        return tmp_path

    return write


@pytest.mark.parametrize(
    ("address", "context", "words"),
    [
        (REDIS, None, "--namespace data port-forward --address 127.0.0.1 service/redis :6379"),
        (
            Address("data", "redis", "redis-0"),
            "prod eu",
            "--context prod eu --namespace data port-forward --address 127.0.0.1 pod/redis-0 :6379",
        ),
    ],
    ids=["a service", "a pod"],
)
async def test_it_leads_to_the_port_that_kubectl_names_and_ends_with_the_block(
    address: Address, context: str | None, words: str, kubectl: Callable[[str], Path]
) -> None:
    script = "echo $$ $@ > ${0%kubectl}typed; echo 'Forwarding from 127.0.0.1:4711 -> 6379'; exec sleep 600"
    typed = kubectl(script) / "typed"
    async with port_forward(address, 6379, context) as port:
        assert port == 4711
        pid, said = read(typed).split(" ", 1)
        assert said == words
        os.kill(int(pid), 0)
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid), 0)


def read(file: Path) -> str:
    return file.read_text().strip()


async def test_what_kubectl_said_last_is_the_reason(kubectl: Callable[[str], Path]) -> None:
    kubectl("echo first; echo 'error: no pods' >&2; exit 1")
    with pytest.raises(Failure, match=r"^no port-forward to service/redis in namespace data: error: no pods$"):
        async with port_forward(REDIS, 6379, None):
            pass


async def test_a_kubectl_that_says_nothing_is_waited_for_no_longer_than_that(
    kubectl: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "START_TIMEOUT", 0.1)
    kubectl("exec sleep 600")
    with pytest.raises(Failure, match=r"namespace data: no answer$"):
        async with port_forward(REDIS, 6379, None):
            pass


async def test_without_kubectl_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Failure, match="Redis is at service/redis inside the cluster: kubectl is needed on the PATH"):
        async with port_forward(REDIS, 6379, None):
            pass

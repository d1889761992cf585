"""Short waits; and a server that refuses scripts across slots."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
import redis as sync

from streamqueue.worker import intake
from tests.redis.servers.install import Server
from tests.redis.servers.process import RunningServer

SLOTS = 16384


@pytest.fixture
def short_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that stops waits for its blocked read; the tests need not."""
    monkeypatch.setattr(intake, "BLOCK", 0.1)


@pytest.fixture(scope="module")
def one_node(server: Server) -> Iterator[RunningServer]:
    """A cluster of one node, which holds every slot."""
    running = RunningServer(server, {"cluster-enabled": "yes", "cluster-config-file": "nodes.conf"})
    try:
        with sync.Redis(port=running.port) as client:
            client.execute_command("CLUSTER ADDSLOTS", *range(SLOTS))
            while client.execute_command("CLUSTER INFO")["cluster_state"] != "ok":
                time.sleep(0.05)
        yield running
    finally:
        running.close()

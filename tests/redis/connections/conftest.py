"""Servers that are more than one process."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from tests.redis.servers.cluster import RunningCluster
from tests.redis.servers.install import Server
from tests.redis.servers.sentinel import RunningSentinels


@pytest.fixture(scope="session")
def cluster(server: Server) -> Iterator[RunningCluster]:
    """Shared: who takes a node away brings it back."""
    running = RunningCluster(server)
    try:
        asyncio.run(running.form())
        yield running
    finally:
        running.close()


@pytest.fixture
def sentinels(server: Server) -> Iterator[RunningSentinels]:
    running = RunningSentinels(server)
    try:
        asyncio.run(running.settle())
        yield running
    finally:
        running.close()

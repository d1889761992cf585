"""Every test of this folder runs on real servers, one run per server of `--servers`.

At the end a table server x test is printed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress

import pytest
from redis.asyncio import Redis

from streamqueue.streams import connect
from tests.redis.servers.install import CannotInstall, Server, install
from tests.redis.servers.lock import SOURCES
from tests.redis.servers.process import RunningServer
from tests.redis.table import ServerTable

DEFAULT = ("redis-6.0", "redis-7.0", "redis-8.6", "valkey-9.1")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--servers", default=",".join(DEFAULT), help=f"comma list of {', '.join(SOURCES)}, or all")
    parser.addoption("--steps", type=int, default=2000, help="steps of the model test on each server")


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(ServerTable(), "server-table")


def chosen(config: pytest.Config) -> list[str]:
    names = list(SOURCES) if config.getoption("--servers") == "all" else config.getoption("--servers").split(",")
    unknown = set(names) - set(SOURCES)
    if unknown:
        raise pytest.UsageError(f"--servers: {', '.join(sorted(unknown))} unknown; there are {', '.join(SOURCES)}")
    return names


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "server" in metafunc.fixturenames:
        metafunc.parametrize("server", chosen(metafunc.config), indirect=True, scope="session")


def pytest_collection_finish(session: pytest.Session) -> None:
    """Fetch what is missing before the first test, where its progress can be seen."""
    if session.config.option.collectonly or not any("server" in _fixtures(item) for item in session.items):
        return
    with session.config.pluginmanager.get_plugin("capturemanager").global_and_fixture_disabled():
        for name in chosen(session.config):
            with suppress(CannotInstall):  # its tests say so
                install(name)


def _fixtures(item: pytest.Item) -> list[str]:
    return item.fixturenames if isinstance(item, pytest.Function) else []


@pytest.fixture(scope="session")
def server(request: pytest.FixtureRequest) -> Server:
    """A server's program; a test that wants the process to itself starts it with RunningServer."""
    try:
        return install(request.param)
    except CannotInstall as exc:
        pytest.fail(str(exc), pytrace=False)


@pytest.fixture(scope="session")
def shared_server(server: Server) -> Iterator[RunningServer]:
    """A running server that tests share: it is flushed, never stopped or reconfigured."""
    running = RunningServer(server)
    yield running
    running.close()


@pytest.fixture
async def redis(shared_server: RunningServer) -> AsyncIterator[Redis]:
    """A client on an empty database."""
    client = connect(shared_server.url)
    await client.flushall()
    yield client
    await client.aclose()


@pytest.fixture
async def own_server(server: Server) -> AsyncIterator[RunningServer]:
    """A server for this test alone, which may stop or reconfigure it."""
    running = await asyncio.to_thread(RunningServer, server)
    yield running
    running.close()


@pytest.fixture
async def durable_server(server: Server) -> AsyncIterator[RunningServer]:
    """As `own_server`, and what it acknowledged survives a restart or a kill."""
    running = await asyncio.to_thread(RunningServer, server, {"appendonly": "yes", "appendfsync": "always"})
    yield running
    running.close()

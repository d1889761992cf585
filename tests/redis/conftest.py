"""Every test of this folder runs on real servers, one run per server of `--servers`.

`--dist worksteal` keeps neighbours in one process, with the servers that they share. At the end a table server x
test is printed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from zlib import crc32

import pytest
from redis.asyncio import Redis

from streamqueue.streams import connect
from tests.redis.queue import Queue
from tests.redis.servers.install import CannotInstall, Server, install
from tests.redis.servers.lock import SOURCES
from tests.redis.servers.process import DURABLE, RunningServer
from tests.redis.servers.tls import TlsServer
from tests.redis.table import ServerTable

DEFAULT = ("redis-6.0", "redis-7.0", "redis-8.6", "valkey-9.1")
ENDS = (DEFAULT[0], DEFAULT[-1])


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--servers", help=f"comma list of {', '.join(SOURCES)}, or all; four without")
    parser.addoption("--table", type=Path, help="also write the table server x test, as a page, to this file")
    parser.addoption("--steps", type=int, default=2000, help="steps of the model test on each server")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "on(*servers): of those that were chosen, on these alone; the test says why")
    config.addinivalue_line("markers", "process: what a process of ours does: on the oldest or the newest")
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(ServerTable(config.getoption("--table")), "server-table")


def chosen(config: pytest.Config) -> list[str]:
    asked = config.getoption("--servers")
    if not asked:
        return list(DEFAULT)
    names = list(SOURCES) if asked == "all" else asked.split(",")
    unknown = set(names) - set(SOURCES)
    if unknown:
        raise pytest.UsageError(f"--servers: {', '.join(sorted(unknown))} unknown; there are {', '.join(SOURCES)}")
    return names


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "server" in metafunc.fixturenames:
        names = chosen(metafunc.config)
        if mark := metafunc.definition.get_closest_marker("on"):
            # At least one, whatever was chosen.
            names = [name for name in names if name in mark.args] or names[:1]
        if metafunc.definition.get_closest_marker("process") and not metafunc.config.getoption("--servers"):
            # The scripts that it calls are tested on all.
            names = [ENDS[crc32(metafunc.function.__name__.encode()) % len(ENDS)]]
        metafunc.parametrize("server", names, indirect=True, scope="session")


def pytest_sessionstart(session: pytest.Session) -> None:
    """Fetch what is missing before the first test, where its progress can be seen."""
    config = session.config
    if hasattr(config, "workerinput") or config.option.collectonly:
        return
    with config.pluginmanager.get_plugin("capturemanager").global_and_fixture_disabled():
        for name in chosen(config):
            with suppress(CannotInstall):  # its tests say so
                install(name)


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
async def queue(redis: Redis) -> Queue:
    """The queue of the tests, with its group and nothing in it."""
    queue = Queue(redis)
    await queue.create()
    return queue


@pytest.fixture
async def own_server(server: Server) -> AsyncIterator[RunningServer]:
    """A server for this test alone, which may stop or reconfigure it."""
    running = await asyncio.to_thread(RunningServer, server)
    yield running
    running.close()


@pytest.fixture
async def durable_server(server: Server) -> AsyncIterator[RunningServer]:
    """As `own_server`, and what it acknowledged survives a restart or a kill."""
    running = await asyncio.to_thread(RunningServer, server, DURABLE)
    yield running
    running.close()


@pytest.fixture
def tls_server(server: Server, tmp_path: Path) -> Iterator[Callable[[str], TlsServer]]:
    """`tls_server("DNS:localhost")`: a server for this test alone that speaks TLS, with that certificate."""
    started: list[TlsServer] = []

    def start(names: str) -> TlsServer:
        started.append(TlsServer(server, tmp_path, names))
        return started[-1]

    yield start
    for running in started:
        running.close()

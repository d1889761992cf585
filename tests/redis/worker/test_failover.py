"""When every lease looks expired, no live worker's task is taken: after a failover, a clock ahead, a long stop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from streamqueue import Queue as Producer
from streamqueue.maintenance import QuietReason, sweep
from streamqueue.streams import connect
from tests.redis.proxy import Proxy
from tests.redis.queue import Queue, spec
from tests.redis.replication import replicated
from tests.redis.servers.clock import ahead
from tests.redis.servers.install import Server, install
from tests.redis.servers.process import RunningServer, free_port
from tests.redis.worker.pod import until, working

VISIBILITY = 1.0
HOUR = 3600

# Of the servers the one without jemalloc, whose start libfaketime doesn't survive.
CLOCKWORK = "redis-6.2"


@pytest.fixture
async def primary() -> AsyncIterator[RunningServer]:
    running = await asyncio.to_thread(RunningServer, install(CLOCKWORK))
    yield running
    running.close()


@pytest.fixture
async def hurrying_replica(primary: RunningServer) -> AsyncIterator[RunningServer]:
    """A replica of `primary` whose clock is an hour ahead."""
    settings = {"replicaof": f"127.0.0.1 {primary.port}"}
    running = await asyncio.to_thread(RunningServer, ahead(primary.server, HOUR), settings)
    yield running
    running.close()


async def promoted(primary: RunningServer, replica: RunningServer) -> None:
    """The primary dies once the replica has all it knows."""
    async with connect(primary.url) as first, connect(replica.url) as second:
        await replicated(first)
        primary.kill()
        await second.execute_command("REPLICAOF", "NO", "ONE")


async def test_a_plain_loops_task_stays_with_it(primary: RunningServer, hurrying_replica: RunningServer) -> None:
    async with connect(primary.url) as first, connect(hurrying_replica.url) as second:
        queue = Queue(first)
        await queue.create()
        await queue.add()
        await queue.read()
        await queue.settle(spec())
        assert (await sweep(first, spec())).quiet.until is None
        await promoted(primary, hurrying_replica)
        here = Queue(second)
        (row,) = await second.xpending_range(queue.stream, queue.group, "-", "+", 10)
        assert row["time_since_delivered"] > (HOUR - 60) * 1000, "the clock is not ahead: the test proves nothing"
        report = await sweep(second, spec())
        assert (report.returned, report.quiet.reason) == (0, QuietReason.RESTART)
        assert len(await here.pending()) == 1


class Long:
    """A handler that runs until it is told to end."""

    def __init__(self) -> None:
        self.started = asyncio.Event()
        self.end = asyncio.Event()

    async def __call__(self, task: dict[str, str]) -> None:
        self.started.set()
        await self.end.wait()


async def test_a_busy_workers_task_stays_with_it(primary: RunningServer, hurrying_replica: RunningServer) -> None:
    handle = Long()
    async with connect(primary.url) as redis:
        queue = Queue(redis)
        await queue.create()
        await queue.add()
    async with Proxy(primary.port) as proxy:
        settings = {"visibility_timeout": VISIBILITY}
        async with (
            working(proxy.url, handle.__call__, consumer="busy", **settings) as busy,
            working(proxy.url, handle.__call__, consumer="idle", **settings) as idle,
        ):
            await asyncio.wait_for(handle.started.wait(), 10)
            await promoted(primary, hurrying_replica)
            proxy.lead_to(hurrying_replica.port)
            await asyncio.sleep(4 * VISIBILITY)  # the other looks for stuck work all the while
            handle.end.set()
            await until(lambda: busy.counters.acked + idle.counters.acked == 1, "the acknowledgement")
    assert (busy.counters.claimed, idle.counters.claimed) == (0, 0)
    assert (busy.counters.stolen, idle.counters.stolen) == (0, 0)


@pytest.mark.parametrize("is_linked", [True, False])
async def test_a_primary_that_became_a_replica_is_left_for_the_next(
    own_server: RunningServer, server: Server, is_linked: bool
) -> None:
    """As in a planned failover, which closes no connection: each write on one is refused from then on."""
    done: list[str] = []

    async def handle(task: dict[str, str]) -> None:
        done.append(task["n"])

    settings = {"replicaof": f"127.0.0.1 {own_server.port}"}
    replica = await asyncio.to_thread(RunningServer, server, settings)
    try:
        async with (
            connect(own_server.url) as first,
            connect(replica.url) as second,
            Proxy(own_server.port) as proxy,
            working(proxy.url, handle),
            Producer(proxy.url, Queue.stream) as producer,
        ):
            await producer.send({"n": 1})
            await until(lambda: done == ["1"], "the first task")
            await replicated(first)
            proxy.lead_new_to(replica.port)
            await second.execute_command("REPLICAOF", "NO", "ONE")
            await first.config_set("replica-serve-stale-data", "no")
            await first.execute_command("REPLICAOF", "127.0.0.1", replica.port if is_linked else free_port())
            await producer.send({"n": 2})
            await until(lambda: done[-1] == "2", "the second task")
    finally:
        replica.close()


# It is about the heartbeat, which is the same for all.
@pytest.mark.on("redis-7.0", "valkey-9.1")
async def test_a_redis_that_stood_still_for_longer_than_the_timeout(own_server: RunningServer) -> None:
    handle = Long()
    async with connect(own_server.url) as client:
        queue = Queue(client)
        await queue.create()
        await queue.add()
        settings = {"visibility_timeout": VISIBILITY}
        async with (
            working(own_server.url, handle.__call__, consumer="busy", **settings) as busy,
            working(own_server.url, handle.__call__, consumer="idle", **settings) as idle,
        ):
            await asyncio.wait_for(handle.started.wait(), 10)
            own_server.pause()
            await asyncio.sleep(2.5 * VISIBILITY)
            own_server.resume()
            await asyncio.sleep(2 * VISIBILITY)
            handle.end.set()
            await until(lambda: busy.counters.acked + idle.counters.acked == 1, "the acknowledgement")
    assert (busy.counters.claimed, idle.counters.claimed) == (0, 0)
    assert (busy.counters.stolen, idle.counters.stolen) == (0, 0)

"""A worker that is told to stop in its own loop: what is paused, on its way or in hand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from redis.asyncio import Redis

from streamqueue.streams.tasks import _LEAVE
from streamqueue.worker.intake import STEP
from streamqueue.worker.process import Serving
from streamqueue.worker.settings import Settings
from tests.redis.proxy import Proxy
from tests.redis.queue import Queue
from tests.redis.servers.process import RunningServer
from tests.redis.worker.handler_server import runner_of
from tests.redis.worker.pod import a_read_is_under_way, made, until, working
from tests.redis.worker.stores import PARKED, owners

pytestmark = [pytest.mark.usefixtures("short_reads"), pytest.mark.process]


class Held:
    """A handler whose tasks last until they are let go, or cancelled."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.begun, self.go_on, self.stopped = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def __call__(self, task: dict[str, str]) -> None:
        self.seen.append(task["task"])
        self.begun.set()
        try:
            await self.go_on.wait()
        except asyncio.CancelledError:
            self.stopped.set()
            raise


@pytest.mark.parametrize("protocol", ["sdk", "http"])
async def test_who_is_told_to_stop_while_it_connects_takes_nothing(
    queue: Queue, shared_server: RunningServer, monkeypatch: pytest.MonkeyPatch, protocol: str
) -> None:
    """A cluster's client asks for the nodes first."""
    held = Held()
    worker: Serving = made(shared_server.url, held.__call__)
    if protocol == "http":
        worker = runner_of(shared_server.url, "http://127.0.0.1:1/")
    connect = Settings.connect

    @asynccontextmanager
    async def connecting(settings: Settings) -> AsyncIterator[Redis]:
        worker.stop()
        async with connect(settings) as client:
            yield client

    monkeypatch.setattr(Settings, "connect", connecting)
    await queue.add()
    await asyncio.wait_for(worker.serve(), 20)
    assert held.seen == [] and (await queue.snapshot()).undelivered == 1
    await asyncio.sleep(0)  # for what was cancelled
    assert asyncio.all_tasks() == {asyncio.current_task()}, "something goes on"


async def test_who_is_told_to_stop_before_it_begins_takes_nothing(queue: Queue, shared_server: RunningServer) -> None:
    """As by a program that ends while it starts; the next time is another."""
    held = Held()
    worker = made(shared_server.url, held.__call__)
    await queue.add()
    serving = asyncio.create_task(worker.serve())
    worker.stop()
    await asyncio.wait_for(serving, 20)
    assert held.seen == []
    serving = asyncio.create_task(worker.serve())
    await held.begun.wait()
    worker.stop()
    held.go_on.set()
    await asyncio.wait_for(serving, 20)


async def test_who_is_told_to_stop_while_it_pauses_takes_no_more(queue: Queue, shared_server: RunningServer) -> None:
    """As a runner whose handler is away, and comes back before the tasks under way have ended."""
    held = Held()
    await queue.add()
    async with working(shared_server.url, held.__call__, concurrency=2) as worker:
        await held.begun.wait()
        consumer = worker._consumer
        assert consumer
        consumer.pause()
        worker.stop()
        await queue.add()
        consumer.resume()
        held.go_on.set()
        await until(lambda: worker.counters.acked, "the end of what ran")
    assert held.seen == ["0"] and await queue.pending() == []


@pytest.mark.parametrize("batch", [False, True])
async def test_what_is_on_its_way_when_the_worker_stops_is_handed_back(
    queue: Queue, shared_server: RunningServer, batch: bool
) -> None:
    held = Held()

    async def handle(tasks: list[dict[str, str]]) -> None:
        await held(tasks[0])

    await queue.add()
    settings = {"batch": batch, "visibility_timeout": 60.0}
    async with Proxy(shared_server.port) as proxy:
        proxy.delay = 0.2
        async with working(proxy.url, handle if batch else held.__call__, **settings) as worker:
            await until(lambda: owners(queue), "the task on its way")
            worker.stop()
            await until(lambda: worker.counters.released == 1, "its return")
    assert held.seen == [] and list((await owners(queue)).values()) == [PARKED]


async def test_what_is_handed_back_is_stopped(queue: Queue, shared_server: RunningServer) -> None:
    held = Held()
    await queue.add()
    async with working(shared_server.url, held.__call__, timeout=60.0) as worker:
        await held.begun.wait()
        worker.stop()
        worker.stop()
        await asyncio.wait_for(held.stopped.wait(), 5)


async def test_who_has_left_takes_nothing_more(
    queue: Queue, shared_server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A read that is still under way would bring entries to nobody."""
    monkeypatch.setattr("streamqueue.worker.intake.BLOCK", 4.0)
    held = Held()
    held.go_on.set()

    async def has_left() -> bool:
        return not await queue.redis.xinfo_consumers(queue.stream, queue.group)

    await queue.add()
    async with Proxy(shared_server.port) as proxy, working(proxy.url, held.__call__) as worker:
        await until(lambda: worker.counters.acked, "a task, so that the group knows the consumer")
        await a_read_is_under_way(queue)
        proxy.delay = 0.02
        worker.stop()
        await until(has_left, "the consumer is deleted")
        await queue.add()
    assert await queue.pending() == []


async def test_who_leaves_as_its_connection_is_lost_leaves_by_another(
    queue: Queue, shared_server: RunningServer
) -> None:
    held = Held()
    held.go_on.set()
    await queue.add()
    async with Proxy(shared_server.port) as proxy:
        async with working(proxy.url, held.__call__) as worker:
            await until(lambda: worker.counters.acked, "a task, so that the group knows the consumer")
            proxy.hold(_LEAVE.sha)
        assert proxy.is_holding and await queue.redis.xinfo_consumers(queue.stream, queue.group) == []
        await proxy.let_go()


@pytest.mark.parametrize(("batch", "count"), [(False, STEP + 10), (True, 10)])
async def test_however_many_end_after_the_stop_all_are_acknowledged(
    queue: Queue, shared_server: RunningServer, batch: bool, count: int
) -> None:
    """One by one in steps, for a script blocks the server; a batch as the whole that it was taken as."""
    held = Held()

    async def handle(tasks: list[dict[str, str]]) -> None:
        await held(tasks[0])

    await queue.add(count)
    settings = {"batch": batch, "concurrency": count, "visibility_timeout": 600.0}
    async with working(shared_server.url, handle if batch else held.__call__, **settings) as worker:
        await until(lambda: worker._consumer and worker._consumer.metrics.in_flight == count, "all at once")
        worker.stop()
        held.go_on.set()
        await until(lambda: worker.counters.acked == count, "the acknowledgements")

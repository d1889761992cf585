"""A worker that is told to stop in its own loop: what is paused, on its way or in hand."""

from __future__ import annotations

import asyncio

import pytest

from tests.redis.proxy import Proxy
from tests.redis.queue import Queue
from tests.redis.servers.process import RunningServer
from tests.redis.worker.pod import until, working
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

"""The leases of the tasks of one call."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from streamqueue import Context
from tests.redis.proxy import Proxy
from tests.redis.queue import Queue
from tests.redis.servers.process import RunningServer
from tests.redis.worker.batches import NEXT, Task, names
from tests.redis.worker.pod import until, working
from tests.redis.worker.stores import claim, expire, owners, store

pytestmark = [pytest.mark.usefixtures("short_reads"), pytest.mark.process]


async def test_leases_are_renewed_for_all(queue: Queue, shared_server: RunningServer) -> None:
    calls: list[int] = []

    async def handle(tasks: list[Task]) -> None:
        calls.append(len(tasks))
        await asyncio.sleep(2.5)

    await queue.add(3)
    thief = store(queue.redis, "thief", visibility_timeout=1.0)
    async with working(shared_server.url, handle, batch=True, concurrency=3, visibility_timeout=1.0) as worker:
        while worker.counters.acked < 3:
            assert await claim(thief) == []
            await asyncio.sleep(0.05)
    assert calls == [3] and worker.counters.stolen == 0


async def stolen(queue: Queue, entry: str) -> None:
    await expire(queue, entry)
    assert [each.id for each in await claim(store(queue.redis, "thief"))] == [entry]


@pytest.mark.parametrize("next_stream", ["", NEXT])
async def test_one_lost_lease_stops_no_other_task(queue: Queue, shared_server: RunningServer, next_stream: str) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()
    contexts: list[Context] = []

    async def handle(tasks: list[Task], ctxs: list[Context]) -> list[Any]:
        contexts.extend(ctxs)
        await silent(tasks)
        return [{"by": "the batch"} for _ in tasks]

    async def silent(tasks: list[Task]) -> None:
        begun.set()
        await go_on.wait()

    ids = await queue.add(3)
    settings = {"concurrency": 3, "next_stream": next_stream, "visibility_timeout": 1.5}
    function = handle if next_stream else silent
    async with working(shared_server.url, function, batch=True, **settings) as worker:
        await begun.wait()
        await stolen(queue, ids[1])
        await until(lambda: worker.counters.stolen == 1, "the heartbeat that sees it")
        assert [ctx.cancelled for ctx in contexts] == ([False, True, False] if next_stream else [])
        go_on.set()
        await until(lambda: worker.counters.acked == 2, "the others")
    assert worker.counters.stolen == 1, "it was settled once more"
    assert await owners(queue) == {ids[1]: "thief"} and await queue.redis.xlen(NEXT) == (2 if next_stream else 0)


async def test_a_lease_that_is_lost_unseen_is_fenced(
    queue: Queue, shared_server: RunningServer, caplog: pytest.LogCaptureFixture
) -> None:
    go_on = asyncio.Event()
    begun = asyncio.Event()

    async def handle(tasks: list[Task]) -> None:
        begun.set()
        await go_on.wait()

    ids = await queue.add(3)
    async with working(shared_server.url, handle, batch=True, concurrency=3, visibility_timeout=60) as worker:
        await begun.wait()
        await stolen(queue, ids[1])
        go_on.set()  # before any heartbeat
        await until(lambda: worker.counters.acked == 2, "the others")
    assert worker.counters.stolen == 1 and await owners(queue) == {ids[1]: "thief"}
    assert f"[{ids[1]}] the lease was lost before the task ended; another worker has it" in caplog.text


async def test_a_batch_whose_acknowledgement_went_unanswered_counts_once(
    queue: Queue, shared_server: RunningServer
) -> None:
    calls: list[int] = []
    async with Proxy(shared_server.port) as proxy:

        async def handle(tasks: list[Task]) -> None:
            calls.append(len(tasks))
            proxy.lose_reply = 1

        await queue.add(3)
        async with working(proxy.url, handle, batch=True, concurrency=3) as worker:
            await until(lambda: worker.counters.acked == 3, "the verdict of the second call")
    assert calls == [3] and proxy.lost == 1 and await queue.pending() == []


async def test_a_batch_whose_leases_are_all_lost_is_cancelled(queue: Queue, shared_server: RunningServer) -> None:
    cancelled = asyncio.Event()
    begun = asyncio.Event()

    async def handle(tasks: list[Task]) -> None:
        if "2" in names(tasks):
            return
        begun.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    ids = await queue.add(2)
    settings = {"concurrency": 2, "visibility_timeout": 1.5, "timeout": 30.0}
    async with working(shared_server.url, handle, batch=True, **settings) as worker:
        await begun.wait()
        for each in ids:
            await stolen(queue, each)
        await asyncio.wait_for(cancelled.wait(), 10)
        await queue.redis.xadd(queue.stream, {"task": "2"})
        await until(lambda: worker.counters.acked == 1, "the next batch")
    assert worker.counters.stolen == 2 and set((await owners(queue)).values()) == {"thief"}

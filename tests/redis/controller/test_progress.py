"""Arrivals and acknowledgements as two looks tell of them, on every server."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis

from streamqueue.controller.status.progress import Progress, progress
from tests.redis.controller.loops import POD, a_round, loop_over, queue_on, running, sample, store_of
from tests.redis.queue import Queue
from tests.redis.servers.process import RunningServer
from tests.redis.worker.pod import until


@pytest.fixture
async def queue(redis: Redis) -> Queue:
    queue = Queue(redis)
    await queue.create()
    await queue.add(10)
    await queue.read(POD, count=4)
    return queue


async def test_tasks_done_while_others_come(queue: Queue) -> None:
    before = await queue.snapshot()
    await queue.ack(*await queue.pending())
    await queue.add(3)
    await queue.read(POD, count=2)
    found = progress(before, await queue.snapshot())
    if before.entries_added is not None:
        assert found == Progress(3, 4)
    else:
        assert 0 < found.acknowledged <= 4 and found.added <= 3


async def test_readers_that_never_acknowledge(queue: Queue) -> None:
    before = await queue.snapshot()
    await queue.add(5)
    await queue.read(POD, count=7)
    assert progress(before, await queue.snapshot()) == Progress(5, 0)


async def test_a_full_fleet_that_works_on_is_seen_to_acknowledge(queue: Queue) -> None:
    """As many in hand and as many waiting at both looks: only that the group read on tells."""
    before = await queue.snapshot()
    await queue.ack(*await queue.pending())
    await queue.read(POD, count=4)
    await queue.add(4)
    found = progress(before, await queue.snapshot())
    assert found.acknowledged >= 1 and found.added >= 1


async def test_a_lag_that_is_a_lower_bound_still_tells_of_acknowledgements(queue: Queue) -> None:
    before = await queue.snapshot(cap=2)
    await queue.ack(*await queue.pending())
    assert progress(before, await queue.snapshot(cap=2)).acknowledged == 4


async def test_a_stream_made_anew_counts_from_nothing(queue: Queue) -> None:
    before = await queue.snapshot()
    await queue.redis.delete(queue.stream)
    await queue.create()
    await queue.add(2)
    found = progress(before, await queue.snapshot())
    assert found.added >= 0 and found.acknowledged >= 0


async def test_a_group_that_comes_or_goes_is_no_progress(redis: Redis) -> None:
    queue = Queue(redis)
    absent = await queue.snapshot()
    await queue.create()
    there = await queue.snapshot()
    assert progress(absent, there) == Progress(0, 0)
    await queue.add(3)
    await queue.read(POD, count=2)
    held = await queue.snapshot()
    await redis.delete(Queue.stream)
    assert progress(held, await queue.snapshot()) == Progress(0, 0), "what was lost was not done"


@pytest.mark.on("redis-7.0", "valkey-9.1")
async def test_the_loop_counts_what_came_what_was_done_and_what_was_trimmed(
    queue: Queue, shared_server: RunningServer
) -> None:
    store = store_of(queue_on(shared_server, scaling={"pollingInterval": "200ms"}))
    async with loop_over(store) as loop, running(loop):
        await a_round(loop)
        assert not sample("added_total"), "what was there before did not come"
        await queue.add(3)
        await queue.ack(*await queue.pending())
        await until(lambda: (sample("added_total"), sample("acknowledged_total")) == (3, 4), "they are counted")
        assert not sample("trimmed_undelivered_total")
        await queue.redis.xtrim(queue.stream, maxlen=1, approximate=False)
        await until(lambda: sample("trimmed_undelivered_total"), "those are lost")

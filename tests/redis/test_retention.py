"""Trimming keeps what any group needs; clean-up keeps every consumer that holds work."""

from __future__ import annotations

import asyncio
import time

import pytest
from redis.asyncio import Redis

from streamqueue.api.spec import Retention, RetentionPolicy
from streamqueue.maintenance import SweepReport, sweep
from streamqueue.streams import connect
from tests.redis.queue import Queue, spec
from tests.redis.servers.process import RunningServer


def keep(**limit: float) -> Retention:
    return Retention(RetentionPolicy.ACKNOWLEDGED, **limit)  # type: ignore[arg-type]


async def trim(queue: Queue, retention: Retention) -> SweepReport:
    return await sweep(queue.redis, spec(retention=retention))


@pytest.mark.parametrize("left_over", [{}, {"max_length": 0}])
async def test_nothing_goes_by_default(queue: Queue, left_over: dict[str, int]) -> None:
    await queue.add(5)
    await queue.ack(*[entry_id for entry_id, _ in await queue.read()])
    assert (await trim(queue, Retention(**left_over))).trimmed == 0
    assert len(await queue.entries()) == 5


async def test_acknowledged_entries_past_the_length_go(queue: Queue) -> None:
    ids = await queue.add(500)
    await queue.read(count=400)
    await queue.ack(*ids[:400])
    report = await trim(queue, keep(max_length=300))
    assert (report.trimmed, report.trim_blocked_by) == (200, ())
    assert (await queue.entries())[0][0] == ids[200]
    assert (await trim(queue, keep(max_length=300))).trimmed == 0


async def test_what_fills_the_memory_goes_first(own_server: RunningServer) -> None:
    """A pass begins with writes that a server at maxmemory refuses: it would never come to what frees it."""
    async with connect(own_server.url) as client:
        queue = Queue(client)
        await queue.create()
        for _ in range(100):
            await client.xadd(queue.stream, {"body": b"x" * 20_000})
        ids = [entry_id for entry_id, _ in await queue.read(count=100)]
        await queue.ack(*ids)
        await client.config_set("maxmemory", (await client.info("memory"))["used_memory"] - 200_000)
        report = await trim(queue, keep(max_length=10))
        assert (report.trimmed, report.quiet.reason) == (90, "first-look")


async def test_the_last_that_was_delivered_stays_and_nobody_is_blamed_for_it(queue: Queue) -> None:
    await queue.add(5)
    await queue.ack(*[entry_id for entry_id, _ in await queue.read()])
    for limit, trimmed in ((4, 1), (0, 3), (0, 0)):
        report = await trim(queue, keep(max_length=limit))
        assert (report.trimmed, report.trim_blocked_by) == (trimmed, ())
    assert len(await queue.entries()) == 1


async def test_large_entries_are_trimmed_to_the_end(queue: Queue) -> None:
    """In steps of some megabytes: a script blocks the server."""
    for _ in range(300):
        await queue.redis.xadd(queue.stream, {"body": b"x" * 20_000})
    await queue.redis.xgroup_setid(queue.stream, queue.group, "$")
    assert (await trim(queue, keep(max_length=1))).trimmed == 299


@pytest.mark.parametrize("kept", range(5))
async def test_ids_are_numbers_of_any_length(queue: Queue, kept: int) -> None:
    ids = ["9-5", "9-10", "10-2", "10-10", "100-1"]
    for entry_id in ids:
        await queue.redis.xadd(queue.stream, {"task": "x"}, id=entry_id)
    await queue.read()
    await queue.ack(*ids[:kept], *ids[kept + 1 :])
    assert (await trim(queue, keep(max_length=0))).trimmed == kept
    assert [entry_id for entry_id, _ in await queue.entries()] == ids[kept:]


async def test_undelivered_entries_stay_however_short_the_limit(queue: Queue) -> None:
    ids = await queue.add(10)
    await queue.read(count=4)
    await queue.ack(*ids[:4])
    report = await trim(queue, keep(max_length=0))
    assert (report.trimmed, report.trim_blocked_by) == (3, ("workers",))
    assert len(await queue.read()) == 6


async def test_pending_entries_stay(queue: Queue) -> None:
    ids = await queue.add(10)
    await queue.read()
    await queue.ack(*ids[:2], *ids[3:])
    report = await trim(queue, keep(max_length=0))
    assert (report.trimmed, report.trim_blocked_by) == (2, ("workers",))
    assert (await queue.entries())[0][0] == ids[2]


async def test_another_groups_needs_bound_the_trim_and_it_is_named(queue: Queue) -> None:
    await queue.redis.xgroup_create(queue.stream, "audit", "0")
    ids = await queue.add(10)
    await queue.read()
    await queue.ack(*ids)
    report = await trim(queue, keep(max_length=0))
    assert (report.trimmed, report.trim_blocked_by) == (0, ("audit",))
    await queue.read("a", count=6, group="audit")
    await queue.redis.xack(queue.stream, "audit", *ids[:3], *ids[4:6])
    report = await trim(queue, keep(max_length=0))
    assert (report.trimmed, report.trim_blocked_by) == (3, ("audit",))
    rest = await queue.read("a", group="audit")
    assert [entry_id for entry_id, _ in rest] == ids[6:]


async def test_age_counts_and_ids_that_are_no_times_stay(queue: Queue) -> None:
    await queue.redis.xadd(queue.stream, {"task": "x"}, id="5-1")
    an_hour_ago = int((time.time() - 3600) * 1000)
    old = [f"{an_hour_ago}-{n}" for n in range(3)]
    for each in old:
        await queue.redis.xadd(queue.stream, {"task": "x"}, id=each)
    young = await queue.add(2)
    await queue.read()
    await queue.ack("5-1", *old, *young)
    assert (await trim(queue, keep(max_age=1800))).trimmed == 0
    await queue.redis.xdel(queue.stream, "5-1")
    assert (await trim(queue, keep(max_age=1800))).trimmed == 3
    assert [entry_id for entry_id, _ in await queue.entries()] == young


async def test_large_streams_are_trimmed_in_steps(queue: Queue) -> None:
    async with queue.redis.pipeline(transaction=False) as pipe:
        for _ in range(25_000):
            pipe.xadd(queue.stream, {"task": "x"})
        await pipe.execute()
    await queue.redis.xgroup_setid(queue.stream, queue.group, "$")
    assert (await trim(queue, keep(max_length=100))).trimmed == 24_900


async def test_a_stream_whose_group_is_yet_to_come_is_left_alone(redis: Redis) -> None:
    queue = Queue(redis)
    await queue.add(5)
    await redis.xgroup_create(queue.stream, "audit", "$")
    assert (await trim(queue, keep(max_length=0))).missing
    assert len(await queue.entries()) == 5


async def test_a_trim_leaves_every_count_right(queue: Queue) -> None:
    ids = await queue.add(300)
    await queue.read(count=200)
    await queue.ack(*ids[:150])
    await trim(queue, keep(max_length=0))
    snapshot = await queue.snapshot()
    assert (snapshot.undelivered, snapshot.pending, snapshot.length) == (100, 50, 150)


async def test_only_consumers_that_hold_nothing_and_idle_long_are_deleted(queue: Queue) -> None:
    await queue.add(2)
    await queue.read("busy", count=1)
    (done,) = await queue.read("gone", count=1)
    await queue.ack(done[0])
    await asyncio.sleep(1.0)
    await queue.add()
    await queue.read("fresh")
    await queue.ack((await queue.pending())[-1])
    report = await sweep(queue.redis, spec(consumer_ttl=0.9))
    assert report.consumers_deleted == 1
    names = {row["name"] for row in await queue.redis.xinfo_consumers(queue.stream, queue.group)}
    assert names == {b"busy", b"fresh"}
    assert len(await queue.pending()) == 1


async def test_piled_up_consumers_go_in_one_pass(queue: Queue) -> None:
    async with queue.redis.pipeline(transaction=False) as pipe:
        for n in range(1200):
            pipe.xadd(queue.stream, {"task": "x"}, id=f"1-{n + 1}")
            pipe.xreadgroup(queue.group, f"random-{n}", {queue.stream: ">"}, count=1)
            pipe.xack(queue.stream, queue.group, f"1-{n + 1}")
        await pipe.execute()
    before = len(await queue.redis.xinfo_consumers(queue.stream, queue.group))
    await asyncio.sleep(0.05)
    assert (await sweep(queue.redis, spec(consumer_ttl=0.02))).consumers_deleted == before == 1200

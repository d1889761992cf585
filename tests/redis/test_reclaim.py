"""Work comes back: by timeout, by a container's end, by a worker that went on. One copy, never lost."""

from __future__ import annotations

from importlib import import_module

import pytest
from redis.asyncio import Redis

from streamqueue.maintenance import ReleaseReport, abandoned, release, sweep
from streamqueue.maintenance.give_back import give_back
from streamqueue.streams import ProblemKind, RedisProblem, connect
from streamqueue.streams.pending_entries import PendingEntry, pending_entries
from tests.redis.queue import Queue, spec
from tests.redis.servers.process import free_port
from tests.redis.worker.stores import KEYS


async def test_idle_entries_return_as_copies_that_keep_their_identity(queue: Queue) -> None:
    ids = await queue.add(3)
    await queue.read(count=2)
    report = await queue.swept(spec())
    assert (report.returned, report.moved, report.quiet.until) == (2, 0, None)
    assert await queue.pending() == []
    waiting = await queue.read("pod-2")
    assert waiting[0][0] == ids[2]
    copies = [fields for _, fields in waiting[1:]]
    assert [copy["sq-id"] for copy in copies] == ids[:2]
    assert [copy["task"] for copy in copies] == ["0", "1"]
    assert {copy["sq-attempt"] for copy in copies} == {"1"}
    assert [copy["sq-enqueued-at"] for copy in copies] == [entry_id.split("-")[0] for entry_id in ids[:2]]


async def test_entries_in_time_stay_with_their_worker(queue: Queue) -> None:
    await queue.add(2)
    await queue.read()
    (first, second) = await queue.pending()
    await queue.age(61, first)
    await queue.age(59, second)
    await queue.settle(spec())
    assert (await sweep(queue.redis, spec())).returned == 1
    assert await queue.pending() == [second]


async def test_old_entries_are_found_behind_thousands_of_fresh_ones(queue: Queue) -> None:
    await queue.add(2500)
    await queue.read(count=2500)
    last = (await queue.pending())[-1]
    assert (await queue.swept(spec(), last)).returned == 1
    assert last not in await queue.pending()


async def test_more_than_a_page_returns_in_one_pass(queue: Queue) -> None:
    await queue.add(2300)
    await queue.read(count=2300)
    await queue.idle(0.05)
    quick = spec(visibility=0.05)
    await queue.settle(quick)
    assert (await sweep(queue.redis, quick)).returned == 2300
    assert await queue.pending() == []


async def test_a_pass_that_runs_out_of_time_says_so_and_the_next_goes_on(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_module("streamqueue.maintenance.sweep"), "WINDOW", 1)  # the function hides its module
    await queue.add(2100)
    await queue.read(count=2100)
    await queue.idle(0.05)
    quick = spec(visibility=0.05)
    await queue.settle(quick)
    report = await sweep(queue.redis, quick, budget=0.0)
    assert (report.returned, report.out_of_time) == (1000, True) and "time ran out" in report.summary()
    await queue.settle(quick)
    report = await sweep(queue.redis, quick)
    assert (report.returned, report.moved, report.out_of_time) == (1100, 0, False)


async def test_poison_ends_in_the_dead_letters_with_its_story(queue: Queue) -> None:
    (task,) = await queue.add()
    for attempt in range(3):
        await queue.read(f"pod-{attempt}")
        report = await queue.swept(spec())
    assert (report.dead_lettered, report.returned) == (1, 0)
    assert await queue.pending() == [] and await queue.read() == []
    (letter,) = await queue.dead()
    assert letter["task"] == "0" and letter["sq-id"] == task
    assert (letter["sq-reason"], letter["sq-cause"]) == ("max-deliveries", "visibility-timeout")
    assert (letter["sq-attempt"], letter["sq-consumer"]) == ("3", "pod-2")
    assert float(letter["sq-dead-at"]) - float(letter["sq-delivered-at"]) >= 61_000


async def test_a_full_dead_letter_stream_parks_and_says_so(queue: Queue) -> None:
    full = spec(max_deliveries=1, dlq_max=2)
    await queue.add(5)
    await queue.read()
    report = await queue.swept(full)
    assert (report.dead_lettered, report.held_back) == (2, 3)
    assert len(await queue.pending()) == 3


async def test_a_task_of_more_fields_than_a_script_can_copy_holds_up_no_other(queue: Queue) -> None:
    await queue.redis.xadd(queue.stream, {f"field-{n}": "x" for n in range(4000)})
    await queue.add()
    await queue.read()
    report = await queue.swept(spec())
    assert (report.returned, report.held_back) == (1, 1)
    assert len(await queue.pending()) == 1


async def test_with_several_groups_nothing_is_copied(queue: Queue) -> None:
    await queue.redis.xgroup_create(queue.stream, "audit", "0")
    await queue.add(2)
    await queue.read()
    report = await queue.swept(spec())
    assert (report.returned, report.requeue_needs_worker) == (0, 2)
    assert len(await queue.pending()) == 2
    assert len(await queue.read("a", group="audit")) == 2


async def test_deleted_and_trimmed_entries_are_counted_and_never_come_back_empty(queue: Queue) -> None:
    ids = await queue.add(3)
    await queue.read()
    await queue.redis.xdel(queue.stream, ids[1])
    await queue.redis.xtrim(queue.stream, maxlen=1, approximate=False)
    await queue.idle(0.05)  # in truth: XCLAIM would drop the two on newer servers
    quick = spec(visibility=0.02)
    await queue.settle(quick)
    report = await sweep(queue.redis, quick)
    assert (report.dropped, report.returned) == (2, 1)
    assert await queue.pending() == []
    assert [fields["sq-id"] for _, fields in await queue.read()] == [ids[2]]


async def test_only_what_was_started_of_a_batch_is_charged(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamqueue.streams.pending_entries.PAGE", 2)  # it is read in pages, and judged as one
    batched = spec(batch=5, concurrency=2)
    ids = await queue.add(5)
    await queue.read(count=5)
    await queue.ack(ids[0])
    assert (await queue.swept(batched)).returned == 4
    charged = {fields["sq-id"]: fields["sq-attempt"] for _, fields in await queue.read()}
    assert charged == {ids[1]: "1", ids[2]: "1", ids[3]: "0", ids[4]: "0"}


@pytest.mark.parametrize(
    ("by", "concurrency", "charged"),
    [("a crash", 1, "1110"), ("a crash", 2, "1111"), ("the timeout", 1, "1010")],
)
async def test_who_read_on_had_begun_all_that_came_before(
    queue: Queue, by: str, concurrency: int, charged: str
) -> None:
    """If it is known to be one loop, that works one by one: what idles may be that of several."""
    batched = spec(batch=2, concurrency=concurrency)
    ids = await queue.add(4)
    for ago in (90, 70):
        await queue.read("pod-1", count=2)
        await queue.age(ago, *(await queue.pending())[-2:])
    if by == "a crash":
        await release(queue.redis, batched, "pod-1", await queue.now() + 1, "Error")
    else:
        await queue.settle(batched)
        await sweep(queue.redis, batched)
    attempts = {fields["sq-id"]: fields["sq-attempt"] for _, fields in await queue.read("pod-2")}
    assert "".join(attempts[task] for task in ids) == charged


async def test_deliveries_that_are_never_charged_end_somewhere(queue: Queue) -> None:
    batched = spec(batch=2, max_deliveries=1)
    ids = await queue.add(2)
    await queue.read(count=2)
    await queue.redis.xclaim(queue.stream, queue.group, "pod-1", 0, ids, idle=61_000, retrycount=20, justid=True)
    await queue.settle(batched)
    assert (await sweep(queue.redis, batched)).dead_lettered == 2
    assert [letter["sq-reason"] for letter in await queue.dead()] == ["max-deliveries", "max-raw-deliveries"]


async def test_a_crashed_workers_entries_return_at_once(queue: Queue) -> None:
    await queue.add(3)
    await queue.read("pod-1", count=1)
    await queue.idle(0.05)
    ended = await queue.now() - 0.02
    await queue.read("pod-1", count=1)  # the container has started again
    await queue.read("pod-2", count=1)
    report = await release(queue.redis, spec(), "pod-1", ended, "OOMKilled")
    assert (report.returned, report.moved) == (1, 0)
    assert len(await queue.pending()) == 2
    again = await release(queue.redis, spec(), "pod-1", ended, "OOMKilled")
    assert again.returned == 0


async def test_a_crash_is_the_dead_letters_cause(queue: Queue) -> None:
    once = spec(max_deliveries=1)
    await queue.add()
    await queue.read("pod-1")
    await release(queue.redis, once, "pod-1", await queue.now() + 1, "OOMKilled")
    (letter,) = await queue.dead()
    assert (letter["sq-cause"], letter["sq-consumer"]) == ("OOMKilled", "pod-1")


async def test_what_the_cluster_ended_is_charged_to_no_task(queue: Queue) -> None:
    await queue.add(2)
    once = spec(max_deliveries=1)
    for _ in range(2):
        await queue.read()
        report = await release(queue.redis, once, "pod-1", await queue.now() + 1, "Error", charge=False)
        assert (report.returned, report.dead_lettered) == (2, 0)
    assert [fields["sq-attempt"] for _, fields in await queue.read("pod-2")] == ["0", "0"]


async def test_entries_left_behind_by_a_live_worker_return_charged(queue: Queue) -> None:
    batched = spec(batch=2)
    ids = await queue.add(4)
    await queue.read("pod-1", count=2)
    await queue.age(5)
    assert (await abandoned(queue.redis, batched, "pod-2")).returned == 0
    await queue.read("pod-1", count=2)
    report = await abandoned(queue.redis, batched, "pod-1")
    assert report.returned == 2
    assert await queue.pending() == ids[2:]
    assert {fields["sq-attempt"] for _, fields in await queue.read("pod-2")} == {"1"}


async def test_the_batch_being_worked_on_is_never_taken(queue: Queue) -> None:
    batched = spec(batch=3)
    ids = await queue.add(3)
    await queue.read("pod-1", count=3)
    await queue.age(30)
    # The loop renews what it is at; the two behind it are older by delivery, and not left behind.
    await queue.redis.xclaim(queue.stream, queue.group, "pod-1", 0, [ids[0]], justid=True)
    assert (await abandoned(queue.redis, batched, "pod-1")).returned == 0
    assert await queue.pending() == ids


async def test_with_concurrency_a_later_read_proves_nothing(queue: Queue) -> None:
    await queue.add(2)
    await queue.read("pod-1", count=1)
    await queue.age(5)
    await queue.read("pod-1", count=1)
    assert (await abandoned(queue.redis, spec(concurrency=2), "pod-1")).returned == 0
    assert len(await queue.pending()) == 2


async def test_a_read_that_brought_nothing_is_evidence_where_the_server_tells(queue: Queue) -> None:
    await queue.add()
    await queue.read("pod-1")
    assert (await abandoned(queue.redis, spec(), "pod-1")).returned == 0
    await queue.idle(1.1)
    assert (await abandoned(queue.redis, spec(), "pod-1")).returned == 0, "it is busy, and has not read again"
    await queue.read("pod-1")
    consumers = await queue.redis.xinfo_consumers(queue.stream, queue.group)
    expected = 1 if "inactive" in consumers[0] else 0
    assert (await abandoned(queue.redis, spec(), "pod-1")).returned == expected


async def test_missing_streams_and_groups_are_nothing_to_do(redis: Redis) -> None:
    assert (await sweep(redis, spec())).missing
    assert (await release(redis, spec(), "pod-1", 1, "Error")).missing
    assert (await abandoned(redis, spec(), "pod-1")).missing
    await redis.xadd("orders", {"n": "1"})
    assert (await release(redis, spec(), "pod-1", 1, "Error")).missing


async def test_a_server_that_is_away_is_not_one_without_the_stream() -> None:
    async with connect(f"redis://127.0.0.1:{free_port()}") as nobody:
        with pytest.raises(RedisProblem):
            await sweep(nobody, spec())
        with pytest.raises(RedisProblem):
            await release(nobody, spec(), "pod-1", 1, "Error")
        with pytest.raises(RedisProblem):
            await abandoned(nobody, spec(), "pod-1")


@pytest.mark.parametrize("key", ["dlq", "lease", "due", "attempts"])
async def test_a_key_of_the_wrong_type_stops_before_anything_is_touched(queue: Queue, key: str) -> None:
    await queue.add()
    await queue.read()
    await queue.age(61)
    await queue.settle(spec())
    await queue.redis.set(getattr(KEYS, key), "x")
    with pytest.raises(RedisProblem) as caught:
        await sweep(queue.redis, spec())
    assert caught.value.kind is ProblemKind.WRONG_TYPE
    assert len(await queue.pending()) == 1 and len(await queue.entries()) == 1


async def seen(queue: Queue) -> list[PendingEntry]:
    return [entry async for page in pending_entries(queue.redis, queue.stream, queue.group) for entry in page]


@pytest.mark.parametrize("change", ["acknowledged", "claimed", "renewed", "delivered again to its owner"])
async def test_what_changed_since_it_was_seen_is_not_touched(queue: Queue, change: str) -> None:
    ids = await queue.add()
    await queue.read("pod-1")
    await queue.age(61)
    entries = await seen(queue)
    if change == "acknowledged":
        await queue.ack(*ids)
    elif change == "claimed":
        await queue.redis.xclaim(queue.stream, queue.group, "pod-2", 0, ids, idle=100_000)
    elif change == "renewed":
        await queue.redis.xclaim(queue.stream, queue.group, "pod-1", 0, ids, justid=True)
    else:
        await queue.redis.xreadgroup(queue.group, "pod-1", {queue.stream: "0"})
    report = ReleaseReport()
    await give_back(queue.redis, spec(), entries, set(ids), "test", report)
    assert (report.moved, report.returned) == (1, 0)
    assert await queue.pending() == ([] if change == "acknowledged" else ids)
    assert len(await queue.entries()) == 1

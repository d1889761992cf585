"""Fencing: who has lost a task can neither acknowledge nor emit, retry or renew it."""

from __future__ import annotations

import pytest

from streamqueue.streams import ensure_group
from streamqueue.streams.errors import ProblemKind, RedisProblem
from streamqueue.streams.settlement import Emit, Settlement, Verdict
from streamqueue.streams.taken import NewEntries, Taken
from streamqueue.streams.tasks import PARKED
from tests.redis.queue import Queue
from tests.redis.worker.stores import (
    KEYS,
    VISIBILITY,
    ack,
    bare_ack,
    claim,
    expire,
    owners,
    release,
    retry,
    settle,
    store,
    take,
)


async def test_the_owner_acknowledges_once_and_a_repeat_is_understood(queue: Queue) -> None:
    (task,) = await queue.add()
    a = store(queue.redis)
    (entry,) = await take(a)
    assert entry.id == task and entry.fields == {b"task": b"0"} and (entry.attempts, entry.crashes) == (0, 0)
    assert await settle(a, ack(entry)) == [Verdict.ACKED]
    assert await settle(a, ack(entry)) == [Verdict.ALREADY_MINE]
    assert await queue.pending() == [] and await queue.redis.hlen(KEYS.lease) == 0


async def test_a_run_that_lost_its_lease_changes_nothing(queue: Queue) -> None:
    await queue.add()
    a, b = store(queue.redis, "a"), store(queue.redis, "b")
    (old,) = await take(a)
    await expire(queue, old.id)
    (new,) = await claim(b)
    emit = (Emit("{orders}:next", [("x", "1")]),)
    for settlement in (ack(old, emits=emit), retry(old), release(old)):
        assert await settle(a, settlement) == [Verdict.STOLEN]
    assert await a.renew([(old.id, old.token, old.id, "")]) == [(old.id, old.token)]
    assert await owners(queue) == {old.id: "b"} and await queue.redis.xlen("{orders}:next") == 0
    assert await settle(b, ack(new)) == [Verdict.ACKED]


@pytest.mark.parametrize("how", ["acknowledged", "destroyed"])
async def test_of_what_is_pending_no_more_nothing_is_left(queue: Queue, how: str) -> None:
    """Somebody acknowledged it by hand, or its group is gone: nobody else would ever take its lease away."""
    await queue.add(4)
    a = store(queue.redis)
    ended, listed, running, parked = await take(a)
    await settle(a, retry(parked))
    for entry in (ended, listed, running):
        await queue.redis.hset(KEYS.attempts, entry.id, 1)
    if how == "acknowledged":
        await queue.ack(*(entry.id for entry in (ended, listed, running, parked)))
    else:
        await queue.redis.xgroup_destroy(queue.stream, queue.group)
        await ensure_group(queue.redis, queue.stream, queue.group, "$")
    assert await settle(a, ack(ended), bare_ack(listed)) == [Verdict.STOLEN] * 2
    assert await a.renew([(running.id, running.token, running.id, "")]) == [(running.id, running.token)]
    assert await take(a) == []
    assert await queue.redis.exists(KEYS.lease, KEYS.attempts, KEYS.due) == 0


async def test_marks_of_what_is_done_are_kept_for_a_minute(queue: Queue) -> None:
    await queue.add()
    a = store(queue.redis)
    (entry,) = await take(a)
    now = round(await queue.now() * 1000)
    await queue.redis.zadd(KEYS.done, {"1-1 long-ago": now - 61_000, "1-2 lately": now - 50_000})
    await settle(a, ack(entry))
    assert await a.renew([(entry.id, entry.token, entry.id, "")]) == [], "done is not lost"
    assert len(await queue.redis.zrange(KEYS.done, 0, -1)) == 2
    assert await queue.redis.zscore(KEYS.done, "1-1 long-ago") is None
    assert 50_000 < await queue.redis.pttl(KEYS.done) <= 60_000, "of a queue that rests nothing is left"


async def test_what_is_done_as_it_was_taken_has_a_verdict_for_each(queue: Queue) -> None:
    await queue.add(4)
    a, b = store(queue.redis, "a"), store(queue.redis, "b")
    (alone,) = await take(a, 1)
    new = (await a.exchange([], 3, 0)).new
    _, lost, _ = new.entries()
    await expire(queue, lost.id)
    await claim(b)
    for mine in (Verdict.ACKED, Verdict.ALREADY_MINE):
        reply = await a.exchange([bare_ack(alone)], 0, 0, new)
        assert reply.verdicts == [mine, mine, Verdict.STOLEN, mine]
    assert await owners(queue) == {lost.id: "b"}


async def test_thousands_are_taken_with_a_lease_each(queue: Queue) -> None:
    """Lua's unpack has an end: the entries would be this consumer's, and no reply would say so."""
    await queue.add(4001)
    assert len(await take(store(queue.redis), 4001)) == await queue.redis.hlen(KEYS.lease) == 4001


async def test_what_is_done_as_it_was_taken_leaves_one_mark_for_all(queue: Queue) -> None:
    await queue.add(3)
    a = store(queue.redis, "a")
    new = (await a.exchange([], 3, 0)).new
    for verdict in (Verdict.ACKED, Verdict.ALREADY_MINE):
        assert (await a.exchange([], 0, 0, new)).verdicts == [verdict] * 3
    assert await queue.redis.zcard(KEYS.done) == 1
    other = NewEntries(" ".join(await queue.add(3)).encode(), [[]] * 3, new.token)
    assert (await a.exchange([], 0, 0, other)).verdicts == [Verdict.STOLEN] * 3, "the mark is of those ids alone"


async def test_a_consumer_that_gets_its_task_back_cannot_settle_with_the_first_runs_token(queue: Queue) -> None:
    await queue.add()
    a, b = store(queue.redis, "a"), store(queue.redis, "b")
    (first,) = await take(a)
    await expire(queue, first.id)
    await claim(b)
    await expire(queue, first.id)
    (second,) = await claim(a)
    assert await owners(queue) == {first.id: "a"}
    assert await settle(a, ack(first)) == [Verdict.STOLEN]
    both = [(each.id, each.token, each.id, "") for each in (first, second)]
    assert await a.renew(both) == await a.renew(both[::-1]) == [(first.id, first.token)]
    assert await settle(a, ack(second)) == [Verdict.ACKED]


async def test_a_foreign_claim_without_a_token_is_noticed(queue: Queue) -> None:
    await queue.add()
    a = store(queue.redis, "a")
    (entry,) = await take(a)
    await queue.redis.xclaim(queue.stream, queue.group, "a-plain-loop", 0, [entry.id])
    assert await a.renew([(entry.id, entry.token, entry.id, "")]) == [(entry.id, entry.token)]
    assert await settle(a, ack(entry)) == [Verdict.STOLEN]


async def test_a_renewed_lease_is_not_claimed_and_its_idle_time_starts_anew(queue: Queue) -> None:
    await queue.add()
    a, b = store(queue.redis, "a"), store(queue.redis, "b")
    (entry,) = await take(a)
    await expire(queue, entry.id)
    assert await a.renew([(entry.id, entry.token, entry.id, "")]) == []
    (row,) = await queue.redis.xpending_range(queue.stream, queue.group, "-", "+", 10)
    assert row["time_since_delivered"] < 5000 and row["times_delivered"] == 1
    await queue.age(VISIBILITY + 1)
    assert await claim(b) == []


async def test_one_heartbeat_renews_all_that_runs_and_notes_how_far_each_is(queue: Queue) -> None:
    await queue.add(4)
    a = store(queue.redis, "a", results_ttl=60.0)
    entries = await take(a)
    await expire(queue, *(entry.id for entry in entries))
    progress = ["", "half", "", "almost"]
    rows = [(entry.id, entry.token, entry.id, said) for entry, said in zip(entries, progress, strict=True)]
    await queue.redis.delete(*(KEYS.results + entry.id for entry in entries))
    assert await a.renew(rows) == []
    assert await claim(store(queue.redis, "b")) == []
    for lease in await queue.redis.hvals(KEYS.lease):
        assert int(lease.split()[1]) / 1000 > await queue.now() + VISIBILITY - 10
    told = [await queue.redis.hmget(KEYS.results + entry.id, "state", "progress") for entry in entries]
    assert told == [[None, None], [b"running", b"half"], [None, None], [b"running", b"almost"]]


async def test_a_lease_goes_by_its_own_expiry_not_by_the_claimers_timeout(queue: Queue) -> None:
    await queue.add()
    a, hasty = store(queue.redis, "a", visibility_timeout=600.0), store(queue.redis, "b", visibility_timeout=0.05)
    await take(a)
    await queue.idle(0.1)
    assert await claim(hasty) == []


async def test_what_a_living_worker_keeps_waiting_stays_with_it(queue: Queue) -> None:
    """Though its lease is longer than others would have it, and though they take what it never saw."""
    ids = await queue.add(2)
    a, b = store(queue.redis, "a", visibility_timeout=600.0), store(queue.redis, "b")
    held = await take(a)
    await queue.redis.hset(KEYS.attempts, mapping={ids[0]: 1, f"{ids[0]}:crashes": 1})  # a worker died of it before
    await queue.add()
    ((unseen, _),) = await queue.read("a")
    await queue.age(VISIBILITY + 1)
    assert [entry.id for entry in await claim(b)] == [unseen]
    assert await settle(a, *map(ack, held)) == [Verdict.ACKED, Verdict.ACKED]


async def test_an_expired_lease_is_a_crash_and_costs_an_attempt(queue: Queue) -> None:
    await queue.add()
    (entry,) = await take(store(queue.redis, "a"))
    await expire(queue, entry.id)
    b = store(queue.redis, "b")
    (again,) = await claim(b)
    assert (again.attempts, again.crashes) == (1, 1)
    await settle(b, (again, Settlement("dead", ("handler", "no"))))
    assert not await queue.redis.exists(KEYS.attempts), "of what is over nothing is left"


async def test_an_entry_that_was_never_begun_is_claimed_uncharged(queue: Queue) -> None:
    await queue.add()
    await queue.read("died-between-read-and-lease")
    b = store(queue.redis, "b")
    assert await claim(b) == []
    await queue.age(VISIBILITY + 1)
    (entry,) = await claim(b)
    assert (entry.attempts, entry.crashes) == (0, 0)


async def test_no_more_is_claimed_than_was_asked_for_and_nothing_of_its_own(queue: Queue) -> None:
    ids = await queue.add(3)
    await queue.read("died-between-read-and-lease", count=2)
    b = store(queue.redis, "b")
    (own,) = await take(b)
    await expire(queue, *ids[:2], own.id)
    first, cursor = await b.claim(1, "-")
    rest, end = await b.claim(10, cursor)
    assert ([entry.id for entry in first], [entry.id for entry in rest], end) == (ids[:1], ids[1:2], "-")


async def test_crashed_entries_are_claimed_one_at_a_time(queue: Queue) -> None:
    await queue.add(3)
    entries = await take(store(queue.redis, "a"))
    await expire(queue, *(entry.id for entry in entries))
    b = store(queue.redis, "b")
    found, _ = await b.claim(10, "-")
    assert [entry.id for entry in found] == [entries[0].id]


async def test_processes_of_one_container_run_what_workers_died_of_one_at_a_time(queue: Queue) -> None:
    first, second, third = await queue.add(3)
    await take(store(queue.redis, "gone"))
    await queue.redis.hset(KEYS.attempts, mapping={f"{each}:crashes": 1 for each in (first, second, third)})
    await expire(queue, first, second, third)
    a, b, other = store(queue.redis, "pod.a"), store(queue.redis, "pod.b"), store(queue.redis, "other.c")
    (held,) = await claim(a, 1)
    assert (held.id, await claim(b)) == (first, [])
    assert [each.id for each in await claim(other, 1)] == [second]
    await settle(a, release(held))
    assert [each.id for each in await claim(b, 1)] == [third]
    assert (await take(a), await owners(queue)) == ([], {first: PARKED, second: "other.c", third: "pod.b"})
    assert 0 < (await a.exchange([], 1, 1)).next_due <= 1, "it rests meanwhile"
    await expire(queue, third)
    await queue.redis.zadd(KEYS.due, {first: 1})
    assert [each.id for each in await take(a)] == [first], "a lease that is over holds nobody up"


@pytest.mark.parametrize("most", [1, 10])
async def test_what_waited_to_run_alone_is_not_charged_for_what_ran(queue: Queue, most: int) -> None:
    ids = await queue.add(3)
    await take(store(queue.redis, "a"))
    await queue.redis.hset(KEYS.attempts, mapping={ids[2]: 1, f"{ids[2]}:crashes": 1})  # a worker died of it before
    await expire(queue, *ids)
    b, c = store(queue.redis, "b"), store(queue.redis, "c")
    (first,), _ = await b.claim(most, "-")
    (waited,) = await take(c)
    (second,), _ = await c.claim(10, "-")
    assert [(each.id, each.attempts, each.crashes) for each in (first, waited, second)] == [
        (ids[0], 1, 1),
        (ids[2], 1, 1),
        (ids[1], 1, 1),
    ]
    assert await owners(queue) == {ids[0]: "b", ids[1]: "c", ids[2]: "c"}


@pytest.mark.parametrize("place", [0, -1])
async def test_what_waited_is_not_charged_though_its_lease_ends_later(queue: Queue, place: int) -> None:
    """It was taken after the last heartbeat; or hundreds lie between it and what ran."""
    ids = await queue.add(250)
    a, b = store(queue.redis, "a"), store(queue.redis, "b")
    await take(a, 1)
    await take(store(queue.redis, "c"), 248)
    await take(a)
    suspect, ran = ids[place], ids[-1 - place]
    await queue.redis.hset(KEYS.attempts, mapping={suspect: 1, f"{suspect}:crashes": 1})  # a worker died of it before
    await expire(queue, ran)
    assert [(each.id, each.attempts) for each in await claim(b)] == [(ran, 1)]
    await expire(queue, suspect)
    again = [*await take(b), *await claim(b)]
    assert [(each.id, each.attempts, each.crashes) for each in again] == [(suspect, 1, 1)]


async def test_what_ran_alone_is_charged_again(queue: Queue) -> None:
    """A read that was blocked as it came may be answered beside it."""
    ran, read = ids = await queue.add(2)
    await take(store(queue.redis, "a"), 1)
    await queue.redis.hset(KEYS.attempts, mapping={ran: 1, f"{ran}:crashes": 1})
    await queue.read("a")
    await expire(queue, *ids)
    claimed = await claim(store(queue.redis, "b"))
    assert [(each.id, each.attempts, each.crashes) for each in claimed] == [(ran, 2, 2), (read, 0, 0)]


async def test_stuck_work_is_found_behind_hundreds_that_are_not(queue: Queue) -> None:
    await queue.add(450)
    await queue.read("dead", count=1)
    a = store(queue.redis, "a")
    entries = await take(a, 449)
    await queue.read("dead", count=1)
    assert await claim(store(queue.redis, "b")) == []
    await expire(queue, entries[-1].id)
    assert [entry.id for entry in await claim(store(queue.redis, "b"))] == [entries[-1].id]


async def test_own_leftovers_are_adopted_without_what_runs(queue: Queue) -> None:
    ids = await queue.add(3)
    a = store(queue.redis, "a")
    (running,) = await take(a, 1)
    await queue.read("a", count=1)  # the reply is lost
    await queue.read("b", count=1)
    (adopted,) = await a.adopt([running.id], 10)
    assert (adopted.id, adopted.attempts) == (ids[1], 0)
    assert await a.adopt([running.id, adopted.id], 10) == []
    assert await settle(a, ack(running), ack(adopted)) == [Verdict.ACKED, Verdict.ACKED]


async def test_leftovers_are_found_behind_and_before_what_runs_and_no_more_than_asked_for(queue: Queue) -> None:
    ids = await queue.add(6)
    a = store(queue.redis, "a", results_ttl=60.0)
    await queue.read("a", count=2)
    running = [entry.id for entry in await take(a, 3)]
    await queue.read("a", count=1)
    for left in (ids[0], ids[1], ids[5]):
        (adopted,) = await a.adopt(running, 1)
        assert adopted.id == left and await queue.redis.hget(KEYS.results + left, "state") == b"running"
        running.append(left)
    assert await a.adopt(running, 1) == []


async def test_deleted_payloads_end_quietly(queue: Queue) -> None:
    ids = await queue.add(3)
    a = store(queue.redis, "a")
    entries = await take(a, 2)
    await queue.read("a", count=1)
    await queue.redis.xdel(queue.stream, *ids)
    assert await settle(a, ack(entries[0]), retry(entries[1])) == [Verdict.ACKED, Verdict.GONE]
    assert await queue.pending() == ids[2:] and await queue.redis.hlen(KEYS.lease) == 0
    assert await a.adopt([], 10) == [] and await queue.pending() == []


async def test_a_consumer_with_work_in_hand_is_not_deleted(queue: Queue) -> None:
    await queue.add()
    a = store(queue.redis, "a")
    (entry,) = await take(a)
    assert await a.leave() is False
    await settle(a, ack(entry))
    assert await a.leave() is True
    assert await queue.redis.xinfo_consumers(queue.stream, queue.group) == []


async def test_emits_go_out_with_the_acknowledgement_and_once(queue: Queue) -> None:
    await queue.add(2)
    a = store(queue.redis, "a")
    one, two = await take(a)
    emits = (Emit("{orders}:next", [("x", "1")]), Emit("{orders}:other", [("y", b"\xff"), ("z", "2")]))
    for _ in range(2):
        await settle(a, ack(one, emits=emits), ack(two, emits=emits[:1]))
    assert [f for _, f in await queue.redis.xrange("{orders}:next")] == [{b"x": b"1"}] * 2
    assert [f for _, f in await queue.redis.xrange("{orders}:other")] == [{b"y": b"\xff", b"z": b"2"}]


async def test_each_acknowledgement_of_many_has_its_own_verdict(queue: Queue) -> None:
    await queue.add(6)
    a = store(queue.redis, "a")
    first, second = await take(a, 3), await take(a, 3)
    await expire(queue, first[1].id)
    await claim(store(queue.redis, "b"))
    ended = [ack(first[0]), ack(first[1]), ack(first[2]), retry(second[0]), ack(second[1]), ack(second[2])]
    acked = Verdict.ACKED
    assert await settle(a, *ended) == [acked, Verdict.STOLEN, acked, Verdict.PARKED, acked, acked]
    assert await owners(queue) == {first[1].id: "b", second[0].id: PARKED}


@pytest.mark.parametrize("order", [(0, 1, 2, 3, 4, 5), (5, 3, 1, 0, 2, 4), (0, 3, 5), (0, 5)])
async def test_acknowledgements_in_one_list_have_a_verdict_each(queue: Queue, order: tuple[int, ...]) -> None:
    """Neighbours and such as are none, among tasks that run on; and once more, as after a lost reply."""
    await queue.add(40)
    a = store(queue.redis, "a")
    entries = await take(a)
    mine, again, claimed, gone, last, next_to_it = (entries[n] for n in (0, 1, 2, 20, 39, 38))
    for other in (store(queue.redis, "b"), a):  # lost, and got back: with another token
        await expire(queue, again.id)
        await claim(other)
    await queue.redis.xclaim(queue.stream, queue.group, "a-plain-loop", 0, [claimed.id])
    await queue.ack(gone.id)
    held = await owners(queue)

    def verdicts(of: Verdict) -> list[Verdict]:
        words = {entry.id: of for entry in (mine, last, next_to_it)}
        return [words.get(entry.id, Verdict.STOLEN) for entry in ended]

    ended: list[Taken] = [(mine, again, claimed, gone, next_to_it, last)[n] for n in order]
    assert await settle(a, *map(bare_ack, ended)) == verdicts(Verdict.ACKED)
    for entry in ended:
        if entry in (mine, last, next_to_it):
            del held[entry.id]
    assert await owners(queue) == held
    assert await settle(a, *map(bare_ack, ended)) == verdicts(Verdict.ALREADY_MINE)


@pytest.mark.parametrize("key", [KEYS.lease, KEYS.due, KEYS.attempts, KEYS.done, KEYS.dlq, KEYS.outboxes])
async def test_a_key_of_another_type_is_said_before_anything_changes(queue: Queue, key: str) -> None:
    await queue.add()
    await queue.redis.set(key, "mine")
    with pytest.raises(RedisProblem) as found:
        await take(store(queue.redis))
    assert found.value.kind is ProblemKind.WRONG_TYPE
    assert await queue.pending() == []


@pytest.mark.parametrize("key", [KEYS.due, KEYS.attempts, KEYS.done, KEYS.dlq])
async def test_a_key_of_another_type_leaves_what_is_in_hand_where_it_is(queue: Queue, key: str) -> None:
    (task,) = await queue.add()
    a = store(queue.redis)
    (entry,) = await take(a)
    await queue.redis.set(key, "mine")
    with pytest.raises(RedisProblem):
        await settle(a, retry(entry, delay=100))
    assert await owners(queue) == {task: "a"} and await queue.redis.hlen(KEYS.lease) == 1


async def test_a_result_whose_key_is_no_stream_is_tried_again_later(queue: Queue) -> None:
    await queue.add()
    await queue.redis.set("{orders}:next", "mine")
    a = store(queue.redis, "a")
    (entry,) = await take(a)
    emits = (Emit("{orders}:other", [("x", "1")]), Emit("{orders}:next", [("x", "1")]))
    assert await settle(a, ack(entry, emits=emits)) == [Verdict.PARKED]
    due = await queue.redis.zscore(KEYS.due, entry.id)
    assert 5 < due / 1000 - await queue.now() <= 10
    assert not await queue.redis.exists("{orders}:other"), "and goes out whole"
    assert await queue.redis.hgetall(KEYS.attempts) == {entry.id.encode(): b"1"}


async def test_a_run_whose_entry_was_trimmed_may_end(queue: Queue) -> None:
    """A producer's MAXLEN knows no pending entries; the worker has the task all the same."""
    await queue.add()
    a = store(queue.redis, "a")
    (entry,) = await take(a)
    await queue.redis.xtrim(queue.stream, maxlen=0, approximate=False)
    for _ in range(2):
        assert await a.renew([(entry.id, entry.token, entry.id, "")]) == []
    assert await settle(a, ack(entry, emits=(Emit("{orders}:next", [("x", "1")]),))) == [Verdict.ACKED]
    assert await queue.pending() == [] and await queue.redis.xlen("{orders}:next") == 1

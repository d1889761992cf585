"""Retries wait with the parked consumer; attempts are charged for failures alone; poison ends in the dead letters."""

from __future__ import annotations

import pytest

from streamqueue.maintenance import redrive, sweep
from streamqueue.streams.settlement import Settlement, Verdict
from tests.redis.queue import Queue, spec
from tests.redis.worker.pod import until
from tests.redis.worker.stores import KEYS, PARKED, ack, claim, expire, owners, release, retry, settle, store, take


async def make_due(queue: Queue) -> None:
    for member in await queue.redis.zrange(KEYS.due, 0, -1):
        await queue.redis.zadd(KEYS.due, {member: 1})


async def test_a_retry_is_parked_until_it_is_due_and_costs_an_attempt(queue: Queue) -> None:
    await queue.add()
    a = store(queue.redis, "a")
    (entry,) = await take(a)
    assert await settle(a, retry(entry, delay=100)) == [Verdict.PARKED]
    assert await owners(queue) == {entry.id: PARKED}
    reply = await a.exchange([], 10, 10)
    assert not reply.again and not reply.new and reply.next_due is not None and 95 < reply.next_due <= 100
    assert await claim(a) == []
    await make_due(queue)
    (again,) = await take(store(queue.redis, "b"))
    assert (again.id, again.attempts, again.crashes) == (entry.id, 1, 0)
    assert await owners(queue) == {entry.id: "b"} and await queue.redis.zcard(KEYS.due) == 0


async def test_a_parked_retry_outlives_its_worker_and_the_timeout(queue: Queue) -> None:
    await queue.add()
    a = store(queue.redis, "a")
    (entry,) = await take(a)
    await settle(a, retry(entry, delay=1000))
    await queue.age(10_000)
    assert await claim(store(queue.redis, "b")) == []


async def test_a_parked_entry_that_fell_out_of_the_set_is_claimed(queue: Queue) -> None:
    await queue.add()
    a = store(queue.redis, "a")
    (entry,) = await take(a)
    await settle(a, retry(entry, delay=1000))
    await queue.redis.delete(KEYS.due)
    await queue.age(61)
    assert [found.id for found in await claim(store(queue.redis, "b"))] == [entry.id]


async def test_one_free_slot_takes_a_retry(queue: Queue) -> None:
    await queue.add(2)
    a = store(queue.redis, "a")
    (first,) = await take(a, 1)
    await settle(a, retry(first))
    assert [entry.id for entry in await take(a, 1, due_first=1)] == [first.id]


async def test_what_a_worker_holds_is_nobodys_retry(queue: Queue) -> None:
    """Claimed by way of the visibility timeout, or of a plain loop, with its time left behind."""
    (task,) = await queue.add()
    await take(store(queue.redis, "b"))
    await queue.redis.zadd(KEYS.due, {task: 1})
    assert await take(store(queue.redis, "a")) == []
    assert await owners(queue) == {task: "b"} and not await queue.redis.exists(KEYS.due)


async def test_what_finds_the_dead_letter_stream_full_waits_for_a_minute_each_time(queue: Queue) -> None:
    await queue.add()
    await queue.redis.xadd(queue.dlq, {"n": "another"})
    a = store(queue.redis, "a", max_deliveries=1, dead_letter_max_length=1)
    (entry,) = await take(a)
    assert await settle(a, retry(entry)) == [Verdict.HELD]
    for _ in range(2):
        assert 50 < (await queue.redis.zscore(KEYS.due, entry.id)) / 1000 - await queue.now() <= 60
        await make_due(queue)
        assert await take(a) == []
    await queue.redis.delete(queue.dlq)
    await make_due(queue)
    assert await take(a) == [] and [letter["sq-attempt"] for letter in await queue.dead()] == ["1"]
    assert not await queue.redis.exists(KEYS.due)


async def test_hand_backs_and_uncounted_retries_cost_nothing(queue: Queue) -> None:
    await queue.add()
    a = store(queue.redis, "a")
    for settlement in (release, lambda entry: retry(entry, charge=0)) * 5:
        (entry,) = await take(a)
        assert entry.attempts == 0
        await settle(a, settlement(entry))
        assert not await queue.redis.exists(KEYS.attempts)
    (entry,) = await take(a)
    assert (entry.attempts, entry.crashes) == (0, 0)


async def test_what_is_given_up_at_once_says_why(queue: Queue) -> None:
    await queue.add()
    a = store(queue.redis, "a", results_ttl=60.0)
    (entry,) = await take(a)
    assert await settle(a, (entry, Settlement("dead", ("refused", "it is no order")))) == [Verdict.DEAD]
    (letter,) = await queue.dead()
    assert (letter["sq-reason"], letter["sq-cause"], letter["sq-attempt"]) == ("refused", "it is no order", "1")
    told = await queue.redis.hgetall(KEYS.results + entry.id)
    assert (told[b"state"], told[b"error"]) == (b"dead", b"it is no order")
    assert await queue.pending() == [] and not await queue.redis.exists(KEYS.attempts, KEYS.lease)


async def test_a_task_that_waits_for_its_retry_says_so_and_why(queue: Queue) -> None:
    await queue.add()
    a = store(queue.redis, "a", results_ttl=60.0)
    (entry,) = await take(a)
    await settle(a, retry(entry, delay=100))
    told = await queue.redis.hgetall(KEYS.results + entry.id)
    assert (told[b"state"], told[b"error"], told[b"consumer"]) == (b"waiting", b"it failed", b"a")
    assert 50_000 < await queue.redis.pttl(KEYS.results + entry.id) <= 60_000
    await make_due(queue)
    await take(store(queue.redis, "b", results_ttl=60.0))
    told = await queue.redis.hgetall(KEYS.results + entry.id)
    assert (told[b"state"], told[b"attempt"], told[b"consumer"]) == (b"running", b"2", b"b")
    assert 0 <= await queue.now() - int(told[b"started"]) / 1000 < 5


async def test_who_waits_is_told_of_each_end(queue: Queue) -> None:
    await queue.add(2)
    a = store(queue.redis, "a", results_ttl=60.0)
    good, bad = await take(a)
    async with queue.redis.pubsub(ignore_subscribe_messages=True) as told:
        await told.psubscribe(KEYS.results + "*")
        for ended in (ack(good), (bad, Settlement("dead", ("handler", "no such customer")))):
            await settle(a, ended)
            message = await until(told.get_message, "the word")
            assert message["channel"].decode() == KEYS.results + ended[0].id


async def test_retries_go_before_new_tasks_but_not_instead(queue: Queue) -> None:
    await queue.add(4)
    a = store(queue.redis, "a")
    old = await take(a)
    await settle(a, *(retry(entry) for entry in old))
    await queue.add(4)
    taken = await take(a, 4, due_first=2)
    assert [entry.attempts for entry in taken] == [1, 1, 0, 0]
    rest = await take(a, 4, due_first=0)
    assert sorted(entry.attempts for entry in rest) == [0, 0, 1, 1]


async def test_after_max_deliveries_the_task_is_a_dead_letter_like_those_of_the_reclaim_pass(queue: Queue) -> None:
    (task,) = await queue.add()
    a = store(queue.redis, "a")
    verdicts = []
    for _ in range(3):
        (entry,) = await take(a)
        verdicts += await settle(a, retry(entry))
    assert verdicts == [Verdict.PARKED, Verdict.PARKED, Verdict.DEAD]
    assert await queue.pending() == [] and await queue.redis.hlen(KEYS.attempts) == 0
    (mine,) = await queue.dead()
    assert (mine["sq-id"], mine["sq-attempt"], mine["sq-reason"], mine["sq-cause"]) == (
        task,
        "3",
        "max-deliveries",
        "it failed",
    )
    assert (mine["sq-consumer"], mine["sq-entry"], mine["task"]) == ("a", task, "0")

    await queue.add()
    await queue.read("plain")
    await queue.swept(spec(max_deliveries=1))
    assert list((await queue.dead())[1]) == list(mine)


async def test_a_redriven_letter_starts_with_a_clean_account(queue: Queue) -> None:
    await queue.add()
    a = store(queue.redis, "a", max_deliveries=1)
    (entry,) = await take(a)
    await settle(a, retry(entry))
    assert await redrive(queue.redis, spec(), await queue.letters()) == 1
    (again,) = await take(a)
    assert again.attempts == 0 and again.fields[b"sq-id"].decode() == entry.id


async def test_a_task_that_kills_its_workers_ends_as_a_dead_letter(queue: Queue) -> None:
    await queue.add()
    (entry,) = await take(store(queue.redis, "w0"))
    for i in range(1, 3):
        await expire(queue, entry.id)
        (entry,) = await claim(store(queue.redis, f"w{i}"))
        assert entry.crashes == i
    await expire(queue, entry.id)
    assert await claim(store(queue.redis, "w3")) == []
    (letter,) = await queue.dead()
    assert (letter["sq-reason"], letter["sq-cause"], letter["sq-attempt"]) == ("max-deliveries", "lease-expired", "3")


async def test_uncharged_deliveries_end_somewhere(queue: Queue) -> None:
    await queue.add()
    a = store(queue.redis, "a", max_deliveries=1)
    for _ in range(19):
        (entry,) = await take(a)
        assert await settle(a, release(entry)) == [Verdict.RELEASED]
    (entry,) = await take(a)
    assert await settle(a, retry(entry, charge=0)) == [Verdict.DEAD]
    assert (await queue.dead())[0]["sq-reason"] == "max-raw-deliveries"


async def test_what_is_handed_back_all_the_time_ends_somewhere(queue: Queue) -> None:
    await queue.add()
    a = store(queue.redis, "a", max_deliveries=1)
    for _ in range(20):
        (entry,) = await take(a)
        await settle(a, release(entry))
    assert await take(a) == [] and await queue.pending() == []
    assert (await queue.dead())[0]["sq-reason"] == "max-raw-deliveries"


async def test_a_full_dead_letter_stream_parks_instead_of_dropping(queue: Queue) -> None:
    await queue.add(2)
    a = store(queue.redis, "a", dead_letter_max_length=1)
    one, two = await take(a)
    dead = [(entry, Settlement("dead", ("handler", "no such customer"))) for entry in (one, two)]
    assert await settle(a, *dead) == [Verdict.DEAD, Verdict.HELD]
    assert await owners(queue) == {two.id: PARKED}
    await queue.redis.delete(KEYS.dlq)
    await make_due(queue)
    (again,) = await take(a)
    assert again.attempts == 1
    assert await settle(a, (again, Settlement("dead", ("handler", "still")))) == [Verdict.DEAD]


async def test_a_task_of_more_fields_than_a_script_can_copy_is_held_and_keeps_no_other_back(queue: Queue) -> None:
    await queue.redis.xadd(queue.stream, {f"field-{n}": "x" for n in range(4000)})
    await queue.add()
    a = store(queue.redis, "a", max_deliveries=1)
    large, good = await take(a)
    assert await settle(a, retry(large), ack(good)) == [Verdict.HELD, Verdict.ACKED]
    assert await owners(queue) == {large.id: PARKED}


@pytest.mark.parametrize("by", ["a worker", "the reclaim pass"])
async def test_a_dead_letter_that_waited_for_room_says_what_it_died_of(queue: Queue, by: str) -> None:
    await queue.add()
    a = store(queue.redis, "a", max_deliveries=1, dead_letter_max_length=0)
    (entry,) = await take(a)
    assert await settle(a, retry(entry)) == [Verdict.HELD]
    await make_due(queue)
    assert await take(a) == [], "nor is there room now"
    await make_due(queue)
    if by == "a worker":
        assert await take(store(queue.redis, "b", max_deliveries=1)) == []
    else:
        await queue.age(61)
        await queue.settle(spec(max_deliveries=1))
        assert (await sweep(queue.redis, spec(max_deliveries=1))).dead_lettered == 1
    (letter,) = await queue.dead()
    assert (letter["sq-reason"], letter["sq-cause"]) == ("max-deliveries", "it failed")
    assert await queue.redis.hlen(KEYS.attempts) == 0


async def test_what_was_held_and_done_after_all_leaves_no_cause_behind(queue: Queue) -> None:
    await queue.add()
    a = store(queue.redis, "a", dead_letter_max_length=0)
    (entry,) = await take(a)
    assert await settle(a, (entry, Settlement("dead", ("handler", "no such customer")))) == [Verdict.HELD]
    await make_due(queue)
    (again,) = await take(a)
    assert await settle(a, ack(again)) == [Verdict.ACKED]
    assert await queue.redis.hlen(KEYS.attempts) == 0


async def test_an_acknowledged_retry_leaves_no_account_behind(queue: Queue) -> None:
    await queue.add()
    a = store(queue.redis, "a")
    (entry,) = await take(a)
    await settle(a, retry(entry))
    (entry,) = await take(a)
    assert await settle(a, ack(entry)) == [Verdict.ACKED]
    assert await queue.redis.exists(KEYS.attempts, KEYS.due, KEYS.lease) == 0


async def test_a_copys_attempts_are_carried_on(queue: Queue) -> None:
    await queue.redis.xadd(queue.stream, {"task": "0", "sq-id": "x", "sq-attempt": "2", "sq-deliveries": "4"})
    a = store(queue.redis, "a")
    (entry,) = await take(a)
    assert entry.attempts == 2
    await queue.age(50)
    assert await settle(a, retry(entry)) == [Verdict.DEAD]
    (letter,) = await queue.dead()
    assert (letter["sq-id"], letter["sq-attempt"], letter["sq-deliveries"]) == ("x", "3", "5")
    assert 50_000 <= int(letter["sq-dead-at"]) - int(letter["sq-delivered-at"]) < 60_000


async def test_tasks_that_ran_when_their_handler_died_run_alone_next_time(queue: Queue) -> None:
    await queue.add(2)
    a = store(queue.redis, "a")
    first, second = await take(a)
    crash = (first, Settlement("crash", (0, 1, "it died")))
    assert await settle(a, crash, retry(second)) == [Verdict.PARKED, Verdict.PARKED]
    assert [(entry.attempts, entry.crashes) for entry in await take(a)] == [(1, 1)]
    assert [(entry.attempts, entry.crashes) for entry in await take(a)] == [(1, 0)]
    assert await queue.redis.hlen(KEYS.attempts) == 3


async def test_what_a_worker_died_of_is_taken_with_nothing_beside_it(queue: Queue) -> None:
    """What waited there to run alone would be charged for the next victim of the one that did it."""
    ids = await queue.add(4)
    a = store(queue.redis, "a")
    entries = await take(a, 3)
    crashes = [(entry, Settlement("crash", (0, 1, "it died"))) for entry in entries[1:]]
    await settle(a, retry(entries[0]), *crashes)
    found = [[entry.id for entry in await take(a)]]
    ids += await queue.add()
    found += [[entry.id for entry in await take(a)] for _ in range(3)]
    assert found == [[ids[0], ids[3]], [ids[1]], [ids[2]], [ids[4]]]


async def test_deliveries_are_counted_charged_or_not(queue: Queue) -> None:
    await queue.add()
    a = store(queue.redis, "a")
    (entry,) = await take(a)
    seen = [entry.deliveries]
    for _ in range(3):
        await settle(a, retry(entry, charge=0))
        (entry,) = await take(a)
        seen.append(entry.deliveries)
    assert seen == [1, 2, 3, 4] and entry.attempts == 0


async def test_a_retry_whose_entry_was_deleted_ends_quietly(queue: Queue) -> None:
    await queue.add()
    a = store(queue.redis, "a")
    (entry,) = await take(a)
    await settle(a, retry(entry))
    await queue.redis.xdel(queue.stream, entry.id)
    assert await take(a) == [] and await queue.pending() == []
    assert not await queue.redis.exists(KEYS.due, KEYS.attempts)

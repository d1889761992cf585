"""The reclaim pass and the snapshot know what workers of the SDK hold."""

from __future__ import annotations

from dataclasses import replace

import pytest

from streamqueue import Queue as Producer
from streamqueue.api.spec import Delivery, Handler, Protocol
from streamqueue.maintenance import Cause, abandoned, release, sweep, take_returns
from streamqueue.streams import ensure_group
from streamqueue.streams.settlement import Verdict
from tests.redis.queue import Queue, spec
from tests.redis.servers.process import RunningServer
from tests.redis.worker.stores import KEYS, VISIBILITY, ack, expire, retry, settle, store, take

SDK = replace(spec(), handler=Handler(image="none", protocol=Protocol.SDK))


async def test_the_pass_leaves_leased_entries_to_their_worker(queue: Queue) -> None:
    await queue.add()
    a = store(queue.redis, "a", visibility_timeout=600.0)
    (entry,) = await take(a)
    await queue.age(VISIBILITY + 1)
    await queue.settle(spec())
    report = await sweep(queue.redis, spec())
    assert (report.leased, report.returned) == (1, 0)
    assert (await abandoned(queue.redis, spec(), "a")).returned == 0
    assert await settle(a, ack(entry)) == [Verdict.ACKED]


async def test_the_pass_returns_what_no_worker_claims_any_more(queue: Queue) -> None:
    await queue.add()
    a = store(queue.redis, "a")
    (entry,) = await take(a)
    await expire(queue, entry.id)
    await queue.settle(spec())
    assert (await sweep(queue.redis, spec())).returned == 1
    assert await settle(a, ack(entry)) == [Verdict.STOLEN]
    assert await queue.redis.exists(KEYS.lease, KEYS.attempts) == 0
    (copy,) = await take(a)
    assert copy.attempts == 1 and copy.fields[b"sq-id"].decode() == entry.id


async def test_with_several_groups_an_expired_lease_waits_for_a_worker(queue: Queue) -> None:
    await ensure_group(queue.redis, queue.stream, "others")
    await queue.add()
    (entry,) = await take(store(queue.redis, "a"))
    await expire(queue, entry.id)
    await queue.settle(spec())
    report = await sweep(queue.redis, spec())
    assert (report.leased, report.requeue_needs_worker) == (1, 0)


@pytest.mark.parametrize("groups", [1, 2])
async def test_the_pass_hands_on_what_workers_that_claim_died_of(queue: Queue, groups: int) -> None:
    """A copy would run beside others, which would be charged for the next death; and it would reach other groups."""
    if groups == 2:
        await ensure_group(queue.redis, queue.stream, "others")
    await queue.add(2)
    a, b = store(queue.redis, "a"), store(queue.redis, "b")
    entry, failed = await take(a)
    await settle(a, retry(failed))
    await expire(queue, entry.id)
    report = await queue.swept(SDK)
    assert (report.handed_on, report.leased, report.returned) == (1, 1, 0)
    assert [(each.consumer, each.cause) for each in await take_returns(queue.redis, KEYS)] == [
        ("a", Cause.VISIBILITY_TIMEOUT)
    ]
    assert await settle(a, ack(entry)) == [Verdict.STOLEN]
    again = [*await take(b), *await take(b)]
    assert {(each.id, each.attempts, each.crashes) for each in again} == {(failed.id, 1, 0), (entry.id, 1, 1)}


async def test_the_pass_leaves_retries_until_they_are_due_and_never_charges_them(queue: Queue) -> None:
    await queue.add()
    a = store(queue.redis, "a")
    (entry,) = await take(a)
    await settle(a, retry(entry, delay=1000))
    await queue.age(VISIBILITY + 1)
    await queue.settle(spec())
    assert (await sweep(queue.redis, spec())).leased == 1
    await queue.redis.zadd(KEYS.due, {entry.id: 1})
    assert (await sweep(queue.redis, spec())).returned == 1
    assert await queue.redis.exists(KEYS.due, KEYS.attempts) == 0
    (copy,) = await take(a)
    assert copy.attempts == 1


async def test_a_dead_containers_work_is_handed_on_at_once_and_fenced(queue: Queue) -> None:
    await ensure_group(queue.redis, queue.stream, "others")
    await queue.add(2)
    a, b = store(queue.redis, "pod.1"), store(queue.redis, "pod.2")
    entries = await take(a)
    report = await release(queue.redis, spec(batch=2, concurrency=2), "pod.1", await queue.now() + 1, "OOMKilled")
    assert (report.handed_on, report.returned, report.requeue_needs_worker) == (2, 0, 0)
    again = [*await take(b), *await take(b)]  # one by one: each is to run alone
    assert [(entry.id, entry.attempts, entry.crashes) for entry in again] == [(old.id, 1, 1) for old in entries]
    assert set(await settle(a, *map(ack, entries))) == {Verdict.STOLEN}
    assert set(await settle(b, *map(ack, again))) == {Verdict.ACKED}


async def test_what_a_dead_container_had_not_begun_is_handed_on_uncharged(queue: Queue) -> None:
    await queue.add(3)
    entries = await take(store(queue.redis, "pod.1"))
    report = await release(queue.redis, spec(batch=3), "pod.1", await queue.now() + 1, "OOMKilled")
    assert report.handed_on == 3
    b = store(queue.redis, "pod.2")
    again = [*await take(b), *await take(b)]  # the last two at once: nobody died of them
    assert [(entry.id, entry.attempts, entry.crashes) for entry in again] == [
        (entries[0].id, 1, 1),
        (entries[1].id, 0, 0),
        (entries[2].id, 0, 0),
    ]


async def first_worker_dies(queue: Queue, ids: list[str], is_seen: bool) -> int:
    """`is_seen`: by the operator; else the reclaim pass finds its leases expired. Returns how many tasks go on."""
    if is_seen:
        return (await release(queue.redis, SDK, "pod.1", await queue.now() + 1, "OOMKilled")).handed_on
    await expire(queue, *ids)
    return (await queue.swept(SDK, *ids)).handed_on


@pytest.mark.parametrize("is_seen", [True, False])
@pytest.mark.parametrize(("held", "charged"), [(3, {1}), (1, {2})])
async def test_what_waited_to_run_alone_is_not_charged(
    queue: Queue, is_seen: bool, held: int, charged: set[int]
) -> None:
    """What killed the worker was beside it; alone in its hands, it was the killer once more."""
    suspect, *_ = ids = await queue.add(held)
    a, b = store(queue.redis, "pod.1"), store(queue.redis, "pod.2")
    await take(a)
    await queue.redis.hset(KEYS.attempts, mapping={suspect: 1, f"{suspect}:crashes": 1})  # a worker died of it before
    assert await first_worker_dies(queue, ids, is_seen) == held
    again = [*await take(b), *await take(b), *await take(b)]
    assert {each.id for each in again} == set(ids)
    assert {each.attempts for each in again} == {each.crashes for each in again} == charged


@pytest.mark.parametrize("is_seen", [True, False])
@pytest.mark.parametrize("place", [0, -1])
async def test_what_waited_beside_hundreds_is_not_charged(queue: Queue, is_seen: bool, place: int) -> None:
    """They go back in steps: what killed the worker before what waited, or after it."""
    ids = await queue.add(201)
    a, b = store(queue.redis, "pod.1"), store(queue.redis, "pod.2")
    held = await take(a, 1)
    await take(a if is_seen else b, 199)
    held += await take(a)
    suspect = ids[place]
    await queue.redis.hset(KEYS.attempts, mapping={suspect: 1, f"{suspect}:crashes": 1})  # a worker died of it before
    assert await first_worker_dies(queue, ids, is_seen) == 201
    assert await queue.redis.hmget(KEYS.attempts, [each.id for each in held]) == [b"1", b"1"]


async def test_what_a_living_worker_never_saw_goes_without_what_waits_in_its_hands(queue: Queue) -> None:
    """As after a reply that was lost: the worker renews what it knows of."""
    suspect, _ = await queue.add(2)
    a = store(queue.redis, "pod.1")
    held = await take(a)
    await queue.redis.hset(KEYS.attempts, mapping={suspect: 1, f"{suspect}:crashes": 1})  # a worker died of it before
    await queue.add()
    ((unseen, _),) = await queue.read("pod.1")
    assert (await queue.swept(SDK, unseen)).handed_on == 1
    assert await settle(a, *map(ack, held)) == [Verdict.ACKED, Verdict.ACKED]


@pytest.mark.parametrize("is_seen", [True, False])
async def test_what_a_worker_had_no_lease_of_is_not_charged(queue: Queue, is_seen: bool) -> None:
    """The read that a node blocks in, as it is lost, is answered all the same: nobody has begun what it brings."""
    once = replace(SDK, delivery=Delivery(VISIBILITY, 1))
    await queue.add()
    await queue.read("pod.1")
    if is_seen:
        report = await release(queue.redis, once, "pod.1", await queue.now() + 1, "pod deleted")
    else:
        report = await queue.swept(once)
    assert (report.handed_on, report.dead_lettered) == (1, 0)
    (again,) = await take(store(queue.redis, "pod.2", max_deliveries=1))
    assert (again.attempts, again.crashes) == (0, 0)


async def test_a_task_that_kills_its_container_dies_of_it(queue: Queue, shared_server: RunningServer) -> None:
    await queue.add()
    for n in range(3):
        (entry,) = await take(store(queue.redis, f"pod.{n}", results_ttl=60.0))
        await queue.redis.delete(KEYS.results + entry.id)  # what is kept of a long run may expire before its end
        report = await release(queue.redis, spec(results_ttl=60.0), f"pod.{n}", await queue.now() + 1, "OOMKilled")
    assert (report.handed_on, report.dead_lettered) == (0, 1)
    async with Producer(shared_server.url, queue.stream) as producer:
        told = await producer.wait(entry.id, 5)  # or who waits for it would wait for ever
    assert (told.state, told.error, told.worker) == ("dead", "OOMKilled", "pod.2")
    assert 50_000 < await queue.redis.pttl(KEYS.results + entry.id) <= 60_000
    (letter,) = await queue.dead()
    assert (letter["sq-id"], letter["sq-attempt"], letter["sq-cause"]) == (entry.id, "3", "OOMKilled")
    assert await queue.redis.exists(KEYS.lease, KEYS.attempts, KEYS.due) == 0


async def test_the_snapshot_tells_parked_from_busy(queue: Queue, shared_server: RunningServer) -> None:
    await queue.add(4)
    a = store(queue.redis, "pod.1")
    entries = await take(a)
    await settle(a, retry(entries[0], delay=50), retry(entries[1], delay=100), retry(entries[2]))
    view = await queue.snapshot()
    assert (view.pending, view.retrying, view.parked, view.due, view.next_due) == (1, 3, 2, 1, 0.0)
    assert view.delayed_due == 0 and view.oldest_due_age is not None and view.oldest_due_age < 20
    assert [(consumer.name, consumer.pending) for consumer in view.consumers] == [("pod.1", 1)]
    assert view.consumers_total == 1 and view.oldest_pending_age is not None
    (due,) = await take(a)
    await settle(a, ack(due), ack(entries[3]))
    view = await queue.snapshot()
    assert (view.pending, view.parked, view.due, view.oldest_pending_age) == (0, 2, 0, None)
    assert view.oldest_due_age is None
    assert view.next_due is not None and 45 < view.next_due <= 50
    async with Producer(shared_server.url, queue.stream) as producer:
        await producer.send({"n": 1}, delay=20)
        await producer.send({"n": 2}, delay=0.001)
    while (view := await queue.snapshot()).due == 0:
        pass
    assert (view.retrying, view.parked, view.due, view.next_due, view.delayed_due) == (2, 2, 1, 0.0, 1)
    assert view.oldest_due_age is not None


async def test_a_queue_without_retries_shows_none(queue: Queue) -> None:
    await queue.add()
    view = await queue.snapshot()
    assert (view.parked, view.due, view.next_due) == (0, 0, None)

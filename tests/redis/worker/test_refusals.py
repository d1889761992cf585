"""A server that refuses writes for a while: nothing expires by that, nothing that is done waits for it."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from streamqueue import Context, DeadLetter, Retry
from streamqueue.maintenance import release
from streamqueue.streams import RedisProblem, connect
from streamqueue.streams.enqueue import NewTask, enqueue
from streamqueue.streams.settlement import Emit
from streamqueue.streams.tasks import Settlement, Verdict
from tests.redis.queue import Queue, spec
from tests.redis.servers.process import RunningServer
from tests.redis.worker.pod import until, working
from tests.redis.worker.stores import (
    KEYS,
    PARKED,
    ack,
    bare_ack,
    claim,
    expire,
    owners,
    retry,
    settle,
    store,
    take,
)

pytestmark = pytest.mark.usefixtures("short_reads")


@pytest.fixture
async def queue(own_server: RunningServer) -> AsyncIterator[Queue]:
    async with connect(own_server.url) as client:
        queue = Queue(client)
        await queue.create()
        yield queue


@asynccontextmanager
async def no_memory(queue: Queue) -> AsyncIterator[None]:
    await queue.redis.config_set("maxmemory", 1)
    try:
        yield
    finally:
        await queue.redis.config_set("maxmemory", 0)


@pytest.mark.parametrize("is_trimmed", [False, True])
async def test_a_lease_is_renewed_without_memory(queue: Queue, is_trimmed: bool) -> None:
    """Or it expires while its owner lives; and who comes first when there is memory again takes the task. Not even
    where the entry is gone: trimming is the remedy.
    """
    await queue.add()
    a = store(queue.redis, "a")
    (entry,) = await take(a)
    await expire(queue, entry.id)
    before = await queue.redis.hget(KEYS.lease, entry.id)
    async with no_memory(queue):
        if is_trimmed:
            await queue.redis.xtrim(queue.stream, maxlen=0, approximate=False)
        assert await a.renew([(entry.id, entry.token, entry.id, "")]) == []
    assert await queue.redis.hget(KEYS.lease, entry.id) > before


async def test_what_a_lost_reply_hid_is_found_without_memory(queue: Queue) -> None:
    """Or nothing is settled until there is memory: it comes first."""
    await queue.add()
    a = store(queue.redis, "a")
    (hidden,) = await take(a)
    async with no_memory(queue):
        assert [entry.id for entry in await a.adopt([], 10)] == [hidden.id]


async def test_acknowledgements_and_retries_need_no_memory(queue: Queue) -> None:
    await queue.add(2)
    a = store(queue.redis, "a")
    good, bad = await take(a)
    async with no_memory(queue):
        assert await settle(a, retry(bad, delay=60.0), bare_ack(good)) == [Verdict.PARKED, Verdict.ACKED]
    assert await owners(queue) == {bad.id: PARKED}
    assert await queue.redis.hget(KEYS.attempts, bad.id) == b"1" and await queue.redis.zcard(KEYS.due) == 1


@pytest.mark.parametrize(("size", "state"), [(1000, b"done"), (1001, b"running")])
async def test_an_acknowledgement_does_not_wait_for_room_for_its_result(queue: Queue, size: int, state: bytes) -> None:
    """Which is kept for who waits, unless it is large."""
    await queue.add()
    a = store(queue.redis, "a", results_ttl=60.0)
    (entry,) = await take(a)
    async with no_memory(queue):
        assert await settle(a, (entry, Settlement("ack", (entry.id, "x" * size)))) == [Verdict.ACKED]
    assert await queue.pending() == []
    assert await queue.redis.hget(KEYS.results + entry.id, "state") == state


async def test_who_may_not_announce_the_end_of_a_task_may_end_it(queue: Queue, own_server: RunningServer) -> None:
    await queue.add()
    await queue.redis.execute_command("ACL", "SETUSER", "app", "on", ">pw", "~*", "+@all", "-publish")
    async with connect(own_server.url.replace("://", "://app:pw@")) as client:
        a = store(client, "a", results_ttl=60.0)
        (entry,) = await take(a)
        assert await settle(a, ack(entry)) == [Verdict.ACKED]


async def test_an_acknowledgement_does_not_wait_for_what_comes_after_it(queue: Queue) -> None:
    await queue.add(2)
    a = store(queue.redis, "a")
    good, other = await take(a)
    emitting = ack(other, emits=(Emit("{orders}:next", [("of", "x")]),))
    async with no_memory(queue):
        with pytest.raises(RedisProblem):
            await settle(a, emitting)
        await settle(a, bare_ack(good), emitting)
    assert await queue.pending() == []


async def test_a_dead_letter_without_room_is_parked_until_there_is_some(queue: Queue) -> None:
    """Or its worker does nothing else: what is done frees the memory."""
    await queue.add()
    a = store(queue.redis, "a")
    (bad,) = await take(a)
    async with no_memory(queue):
        assert await settle(a, (bad, Settlement("dead", ("handler", "no such customer")))) == [Verdict.HELD]
    assert await owners(queue) == {bad.id: PARKED} and await queue.dead() == []
    await queue.redis.zadd(KEYS.due, {bad.id: 0})
    (again,) = await take(a)
    assert (again.id, again.attempts) == (bad.id, 1)


async def test_stuck_work_is_taken_over_without_memory(queue: Queue) -> None:
    await queue.add(2)
    (expired,) = await take(store(queue.redis, "a"), 1)
    (crashed,) = await take(store(queue.redis, "b"), 1)
    await expire(queue, expired.id)
    async with no_memory(queue):
        assert [entry.id for entry in await claim(store(queue.redis, "c"))] == [expired.id]
        assert (await release(queue.redis, spec(), "b", math.inf, "OOMKilled")).handed_on == 1
    assert await owners(queue) == {expired.id: "c", crashed.id: PARKED}
    assert await queue.redis.hmget(KEYS.attempts, expired.id, crashed.id) == [b"1", b"1"]
    assert await queue.redis.zcard(KEYS.due) == 1


@pytest.mark.process
async def test_a_worker_begins_without_memory(queue: Queue, own_server: RunningServer) -> None:
    """The work that fills it waits for workers."""

    async def handle(task: dict[str, str]) -> None: ...

    await queue.add(2)
    async with no_memory(queue), working(own_server.url, handle) as worker:
        await until(lambda: worker.counters.acked == 2, "the tasks", patience=5)


@pytest.mark.process
async def test_delayed_tasks_without_room_hold_up_nothing(queue: Queue, own_server: RunningServer) -> None:
    begun = asyncio.Event()

    async def handle(task: dict[str, str], ctx: Context) -> None:
        begun.set()
        if task["task"] == "0" and ctx.entry.deliveries < 20:
            raise Retry("not now", after=0.1, counted=False)

    await queue.add()
    async with working(own_server.url, handle, visibility_timeout=60.0, concurrency=2) as worker:
        await begun.wait()
        await enqueue(queue.redis, queue.stream, [NewTask("later", [("task", "later")], delay=0.2)])
        async with no_memory(queue):
            await until(lambda: worker.counters.acked == 1, "the task that is retried", patience=6)
        await until(lambda: worker.counters.acked == 2, "the delayed task, too")


@pytest.mark.process
async def test_what_is_done_is_acknowledged_beside_what_has_no_room(queue: Queue, own_server: RunningServer) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def handle(tasks: list[dict[str, str]]) -> list[BaseException | None]:
        begun.set()
        await go_on.wait()
        return [DeadLetter("no such customer"), *[None] * (len(tasks) - 1)]

    await queue.add(3)
    async with working(own_server.url, handle, batch=True, concurrency=3) as worker:
        await begun.wait()
        async with no_memory(queue):
            go_on.set()
            await until(lambda: worker.counters.acked == 2, "the acknowledgements")


@pytest.mark.process
async def test_what_ends_behind_a_result_without_room_is_acknowledged(
    queue: Queue, own_server: RunningServer, caplog: pytest.LogCaptureFixture
) -> None:
    """However often that was refused: what is done gives memory back."""
    begun, emits, go_on = asyncio.Semaphore(0), asyncio.Event(), asyncio.Event()

    async def handle(task: dict[str, str], ctx: Context) -> None:
        begun.release()
        if task["task"] != "0":
            await go_on.wait()
            return
        await emits.wait()
        ctx.emit("{orders}:next", {"of": "x"})

    await queue.add(3)
    async with working(own_server.url, handle, concurrency=3) as worker:
        for _ in range(3):
            await begun.acquire()
        async with no_memory(queue):
            emits.set()
            refused = "Redis is at maxmemory"
            await until(lambda: sum(said.startswith(refused) for said in caplog.messages) > 2, "refusals")
            go_on.set()
            await until(lambda: worker.counters.acked >= 2, "the acknowledgements", patience=10)
        await until(lambda: worker.counters.acked == 3, "the result, too")


@pytest.mark.on("redis-7.0", "redis-8.6", "valkey-9.1")  # Redis 6 lets scripts write
async def test_after_refused_heartbeats_claims_rest_for_one(queue: Queue, own_server: RunningServer) -> None:
    """The others' were refused, too: their leases have expired, and they are about to renew them."""
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def handle(task: dict[str, str]) -> None:
        begun.set()
        await go_on.wait()

    await queue.add(2)
    other = store(queue.redis, "other", visibility_timeout=2.0)
    (entry,) = await take(other, 1)
    async with working(own_server.url, handle, visibility_timeout=2.0) as worker:
        await begun.wait()
        await queue.redis.config_set("min-replicas-to-write", 1)
        await asyncio.sleep(4.5)  # the lease has expired, and the server is old enough to be believed
        await queue.redis.config_set("min-replicas-to-write", 0)
        go_on.set()
        await until(lambda: worker.counters.acked, "what it had")
        await asyncio.sleep(0.1)
        assert await other.renew([(entry.id, entry.token, entry.id, "")]) == []
        assert await settle(other, bare_ack(entry)) == [Verdict.ACKED]
    assert worker.counters.claimed == 0

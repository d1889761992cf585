"""The whole worker on a real server: what it takes, keeps, loses and takes over."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from redis.asyncio import Redis

from streamqueue import Context, Retry
from tests.redis.proxy import Proxy
from tests.redis.queue import Queue
from tests.redis.servers.process import RunningServer
from tests.redis.worker.pod import PATIENCE, a_read_is_under_way, until, working
from tests.redis.worker.stores import KEYS, claim, expire, owners, release, retry, settle, store, take

pytestmark = [pytest.mark.usefixtures("short_reads"), pytest.mark.process]


def recorder(kind: str) -> tuple[list[str], Callable[..., Any]]:
    seen: list[str] = []

    async def in_loop(task: dict[str, str]) -> None:
        seen.append(task["task"])

    def in_thread(task: dict[str, str]) -> None:
        seen.append(task["task"])

    return seen, in_loop if kind == "async" else in_thread


@pytest.mark.parametrize("kind", ["async", "plain"])
@pytest.mark.parametrize("concurrency", [1, 20])
async def test_tasks_run_once_each(queue: Queue, shared_server: RunningServer, kind: str, concurrency: int) -> None:
    seen, function = recorder(kind)
    await queue.add(100)
    async with working(shared_server.url, function, concurrency=concurrency) as worker:
        await until(lambda: worker.counters.acked == 100, "what waited at the start")
        await queue.add(3)
        await until(lambda: worker.counters.acked == 103, "what came later")
    assert sorted(seen) == sorted([str(n) for n in range(100)] + ["0", "1", "2"])
    assert await queue.pending() == []
    assert await queue.redis.xinfo_consumers(queue.stream, queue.group) == []


async def test_never_more_in_hand_than_it_can_start(queue: Queue, shared_server: RunningServer) -> None:
    running = most = 0

    async def handle(task: dict[str, str]) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        assert len(await queue.pending()) <= 3
        running -= 1

    await queue.add(30)
    async with working(shared_server.url, handle, concurrency=3) as worker:
        await until(lambda: worker.counters.acked == 30, "all tasks; a failed one had more than its slots in hand")
    assert most == 3


async def test_what_comes_while_others_run_begins_in_a_free_slot(queue: Queue, shared_server: RunningServer) -> None:
    begun, go_on = asyncio.Semaphore(0), asyncio.Event()

    async def handle(task: dict[str, str]) -> None:
        begun.release()
        await go_on.wait()

    async with working(shared_server.url, handle, concurrency=3, visibility_timeout=600.0):
        for _ in range(3):
            await queue.add()
            await asyncio.wait_for(begun.acquire(), 5)
        go_on.set()


async def test_a_count_that_a_producer_made_up_ends_no_worker(queue: Queue, shared_server: RunningServer) -> None:
    """More digits than int() takes."""
    attempts: list[int] = []

    async def handle(task: dict[str, str], ctx: Context) -> None:
        attempts.append(ctx.attempt)

    for made_up in ("9" * 5000, "7", "-7", ""):
        await queue.redis.xadd(queue.stream, {"task": "a", "sq-attempt": made_up})
    async with working(shared_server.url, handle) as worker:
        await until(lambda: worker.counters.acked == 4, "all of them")
    assert attempts == [1, 8, 1, 1]


class First:
    """A handler, whose first task lasts until `over` is set, the others until `all_over` is."""

    def __init__(self) -> None:
        self.begun = asyncio.Semaphore(0)
        self.over, self.all_over = asyncio.Event(), asyncio.Event()

    async def __call__(self, task: dict[str, str]) -> None:
        self.begun.release()
        await (self.over if task["task"] == "0" else self.all_over).wait()


async def test_what_comes_when_a_task_ends_beside_a_read_begins(
    queue: Queue, shared_server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It comes to the read that was under way, not to another."""
    monkeypatch.setattr("streamqueue.worker.intake.BLOCK", 1.0)
    handle = First()
    await queue.add()
    async with working(shared_server.url, handle.__call__, concurrency=2, visibility_timeout=600.0) as worker:
        await handle.begun.acquire()
        await a_read_is_under_way(queue)
        handle.over.set()
        await until(lambda: worker.counters.acked == 1, "the first task")
        await queue.add()
        await asyncio.wait_for(handle.begun.acquire(), 5)


async def test_nothing_is_taken_beside_a_read_that_is_under_way(queue: Queue, shared_server: RunningServer) -> None:
    """What the read has brought, and is yet to arrive, would find no free slot."""
    handle = First()
    await queue.add()
    settings = {"concurrency": 2, "visibility_timeout": 600.0}
    async with Proxy(shared_server.port) as proxy, working(proxy.url, handle.__call__, **settings) as worker:
        await handle.begun.acquire()
        await a_read_is_under_way(queue)
        proxy.delay = 0.1
        async with queue.redis.pipeline(transaction=True) as pipe:
            for _ in range(3):
                pipe.xadd(queue.stream, {"task": "x"})
            await pipe.execute()
        handle.over.set()
        for _ in range(2):
            await asyncio.wait_for(handle.begun.acquire(), 5)
        assert len(await queue.pending()) == 2
        handle.all_over.set()
        await until(lambda: worker.counters.acked == 4, "all")


async def test_a_redis_that_is_away_is_left_in_peace(queue: Queue, shared_server: RunningServer) -> None:
    """Tries lie further and further apart: a fleet of workers must not keep it from coming back."""
    async with (
        Proxy(shared_server.port) as proxy,
        working(proxy.url, recorder("async")[1], visibility_timeout=600.0) as worker,
    ):
        await until(lambda: proxy.connections > 1, "its connections")
        proxy.lead_to(1)  # nobody listens there
        await asyncio.sleep(1.0)
        before = proxy.connections
        await asyncio.sleep(1.0)
        assert proxy.connections - before < 10
        proxy.lead_to(shared_server.port)
        await queue.add()
        await until(lambda: worker.counters.acked == 1, "a task, once it is back")


async def test_a_long_task_keeps_its_lease(queue: Queue, shared_server: RunningServer) -> None:
    over = asyncio.Event()

    async def handle(task: dict[str, str]) -> None:
        await over.wait()

    await queue.add()
    thief = store(queue.redis, "thief", visibility_timeout=1.0)
    async with working(shared_server.url, handle, visibility_timeout=1.0) as worker:
        for _ in range(50):
            await asyncio.sleep(0.05)
            assert await claim(thief) == []
        over.set()
        await until(lambda: worker.counters.acked == 1, "the acknowledgement")
    assert worker.counters.stolen == 0


@pytest.mark.parametrize("returns", [False, True], ids=["stops", "returns all the same"])
async def test_a_lost_lease_stops_the_handler_and_is_counted(
    queue: Queue, shared_server: RunningServer, returns: bool
) -> None:
    stopped = asyncio.Event()
    started = asyncio.Event()

    async def handle(task: dict[str, str]) -> None:
        started.set()
        try:
            await asyncio.sleep(15)
        except asyncio.CancelledError:
            stopped.set()
            if not returns:
                raise

    (task,) = await queue.add()
    async with working(shared_server.url, handle, visibility_timeout=1.0) as worker:
        await started.wait()
        await expire(queue, task)
        (entry,) = await claim(store(queue.redis, "other"))
        await asyncio.wait_for(stopped.wait(), 5)
        await until(lambda: worker.counters.stolen == 1, "the count")
    assert worker.counters.stolen == 1, "it was settled once more"
    assert await owners(queue) == {entry.id: "other"}


async def test_a_task_that_is_lost_and_taken_again_goes_on(queue: Queue, shared_server: RunningServer) -> None:
    """Before the heartbeat has seen that it was lost: two runs of one entry, of which one lost its lease."""
    begun, go_on = asyncio.Semaphore(0), asyncio.Event()
    contexts: list[Context] = []

    async def handle(task: dict[str, str], ctx: Context) -> None:
        contexts.append(ctx)
        begun.release()
        await go_on.wait()

    (task,) = await queue.add()
    async with working(shared_server.url, handle, concurrency=2, visibility_timeout=4.5) as worker:
        await begun.acquire()
        await expire(queue, task)
        other = store(queue.redis, "other")
        (entry,) = await claim(other)
        await settle(other, release(entry))
        await asyncio.wait_for(begun.acquire(), 5)
        await until(lambda: worker.counters.stolen, "a heartbeat")
        assert [ctx.cancelled for ctx in contexts] == [True, False]
        go_on.set()
        await until(lambda: worker.counters.acked == 1, "the acknowledgement")
    assert (len(contexts), worker.counters.stolen) == (2, 1)


async def test_stuck_work_of_a_dead_worker_is_taken_over_and_runs_alone(
    queue: Queue, shared_server: RunningServer
) -> None:
    beside: list[int] = []
    running = 0

    async def handle(task: dict[str, str], ctx: Context) -> None:
        nonlocal running
        running += 1
        for _ in range(10):
            if ctx.attempt > 1:
                beside.append(running)
            await asyncio.sleep(0.02)
        running -= 1

    await queue.add(1)
    (dead,) = await take(store(queue.redis, "dead"))
    await expire(queue, dead.id)
    await queue.add(40)
    async with working(shared_server.url, handle, concurrency=4, visibility_timeout=0.5) as worker:
        await until(lambda: worker.counters.acked == 41, "all tasks")
    assert worker.counters.claimed == 1 and set(beside) == {1}


async def test_of_hundreds_that_workers_died_of_one_is_in_hand_at_a_time(
    queue: Queue, shared_server: RunningServer
) -> None:
    """Others would wait beside it, and be charged if it kills this worker, too."""
    begun, over = asyncio.Event(), asyncio.Event()

    async def handle(task: dict[str, str]) -> None:
        begun.set()
        await over.wait()

    (first, *_) = await queue.add(401)  # more than one request sees
    await take(store(queue.redis, "dead"), 401)
    await expire(queue, *await queue.pending())
    async with working(shared_server.url, handle, concurrency=10):
        await asyncio.wait_for(begun.wait(), PATIENCE)
        mine = [task for task, owner in (await owners(queue)).items() if owner != "dead"]
        over.set()
    assert mine == [first]


async def test_stuck_work_does_not_wait_for_the_end_of_a_backlog(queue: Queue, shared_server: RunningServer) -> None:
    seen: list[str] = []

    async def handle(task: dict[str, str]) -> None:
        seen.append(task["task"])
        await asyncio.sleep(0.02)

    stuck = (await queue.redis.xadd(queue.stream, {"task": "stuck"})).decode()
    await take(store(queue.redis, "dead"))
    await expire(queue, stuck)
    await queue.add(1000)
    async with working(shared_server.url, handle, visibility_timeout=0.5):
        await until(lambda: "stuck" in seen, "the task of the dead worker")
        assert len(seen) < 1000
        await queue.redis.xgroup_setid(queue.stream, queue.group, "$")


async def test_stuck_work_is_found_behind_hundreds_of_retries(queue: Queue, shared_server: RunningServer) -> None:
    seen, function = recorder("async")
    await queue.add(251)
    dead = store(queue.redis, "dead")
    *parked, stuck = await take(dead, 251)
    await settle(dead, *(retry(entry, delay=1000) for entry in parked))
    await queue.age(61)
    await expire(queue, stuck.id)
    async with working(shared_server.url, function, visibility_timeout=0.5) as worker:
        await until(lambda: worker.counters.acked == 1, "the task of the dead worker")
    assert seen == ["250"]


@pytest.mark.parametrize("concurrency", [1, 3])
async def test_neither_retries_nor_new_tasks_starve_the_others(
    queue: Queue, shared_server: RunningServer, concurrency: int
) -> None:
    attempts: list[int] = []

    async def handle(task: dict[str, str], ctx: Context) -> None:
        attempts.append(ctx.attempt)

    await queue.add(20)
    failed = store(queue.redis, "failed")
    await settle(failed, *map(retry, await take(failed)))
    await queue.add(20)
    async with working(shared_server.url, handle, concurrency=concurrency) as worker:
        await until(lambda: worker.counters.acked == 40, "all")
    assert 5 <= attempts[:20].count(2) <= 15


async def test_a_read_ends_when_a_retry_falls_due(
    queue: Queue, shared_server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamqueue.worker.intake.BLOCK", 3.0)

    async def handle(task: dict[str, str], ctx: Context) -> None:
        if ctx.attempt == 1:
            raise Retry("soon", after=0.2)

    await queue.add()
    async with working(shared_server.url, handle) as worker:
        await until(lambda: worker.counters.parked == 1, "the first attempt")
        await until(lambda: worker.counters.acked == 1, "the second", patience=1.5)


async def test_lost_replies_lose_no_task(queue: Queue, shared_server: RunningServer) -> None:
    """Whichever reply is lost, each task is done; a lost reply may double what was in hand, no more."""
    count = 60  # at four in hand, more replies than the last that is lost
    for nth in range(1, 13):
        await queue.redis.flushall()
        await queue.create()
        done: list[str] = []

        async def handle(task: dict[str, str], done: list[str] = done) -> None:
            done.append(task["task"])

        async with Proxy(shared_server.port) as proxy:
            proxy.lose_reply = nth
            async with working(proxy.url, handle, concurrency=4) as worker:
                await queue.add(count)
                await until(lambda w=worker: w.counters.acked >= count, f"all tasks, reply {nth} lost")  # type: ignore[misc]
            assert proxy.lost == 1
        assert sorted(set(done), key=int) == [str(n) for n in range(count)]
        assert len(done) == count, "a run whose reply was lost is not repeated: its consumer lives"
        assert await queue.pending() == []


async def test_a_restart_of_redis_loses_nothing_and_steals_nothing(durable_server: RunningServer) -> None:
    done: list[str] = []

    async def handle(task: dict[str, str]) -> None:
        await asyncio.sleep(0.1)
        done.append(task["task"])

    async with Redis.from_url(durable_server.url) as redis:
        queue = Queue(redis)
        await queue.create()
        await queue.add(50)
    settings = {"concurrency": 5, "visibility_timeout": 1.0}
    async with (
        working(durable_server.url, handle, **settings) as one,
        working(durable_server.url, handle, **settings) as two,
    ):
        await until(lambda: len(done) > 10, "some tasks")
        await asyncio.to_thread(durable_server.kill)
        await asyncio.sleep(1.2)  # every lease is past its expiry
        await asyncio.to_thread(durable_server.start)
        await until(lambda: one.counters.acked + two.counters.acked == 50, "all tasks")
        assert one.counters.claimed + two.counters.claimed == 0
    assert sorted(done, key=int) == [str(n) for n in range(50)]


async def test_an_owner_is_back_before_its_tasks_are_claimed(queue: Queue, shared_server: RunningServer) -> None:
    """Tries lie no further apart than its leases allow, however long Redis has been away."""
    async with Proxy(shared_server.port) as proxy, working(proxy.url, recorder("async")[1], visibility_timeout=0.3):
        await until(lambda: proxy.connections > 1, "its connections")
        proxy.lead_to(1)  # nobody listens there
        before = proxy.connections
        await until(lambda: proxy.connections > before + 30, "tries at pauses that stay short")
        proxy.lead_to(shared_server.port)


async def test_after_a_disturbance_leases_are_renewed_at_once(queue: Queue, shared_server: RunningServer) -> None:
    """By then they may seem to have expired, and the next heartbeat is a third of the timeout away."""
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def handle(task: dict[str, str]) -> None:
        begun.set()
        await go_on.wait()

    (task,) = await queue.add()

    async def reads() -> bool:
        return (await queue.redis.info("clients"))["blocked_clients"] > 0

    async def is_renewed() -> bool:
        lease = await queue.redis.hget(KEYS.lease, task)
        return not lease.endswith(b" 1")

    async with (
        Proxy(shared_server.port) as proxy,
        working(proxy.url, handle, concurrency=2, visibility_timeout=600.0) as worker,
    ):
        await begun.wait()
        await expire(queue, task)
        await until(reads, "the other slot waits for a task, through the proxy")
        proxy.cut()
        await until(is_renewed, "the lease")
        go_on.set()
        await until(lambda: worker.counters.acked == 1, "the acknowledgement")


async def test_a_stream_deleted_under_way_heals(queue: Queue, shared_server: RunningServer) -> None:
    seen, function = recorder("async")
    async with working(shared_server.url, function) as worker:
        await queue.add()
        await until(lambda: worker.counters.acked == 1, "a task")
        await queue.redis.delete(queue.stream)
        await queue.add()
        await until(lambda: worker.counters.acked == 2, "a task on the new stream")
    assert seen == ["0", "0"]

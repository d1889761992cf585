"""Requests that arrive after they were given up, and replies that take too long."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from streamqueue import Context, Worker
from streamqueue.maintenance.relay import relay
from streamqueue.streams import connect
from streamqueue.streams.connection import pool
from streamqueue.streams.tasks import _ADOPT, _EXCHANGE
from tests.redis.proxy import Proxy
from tests.redis.queue import Queue
from tests.redis.servers.process import RunningServer, free_port
from tests.redis.worker.pod import a_read_is_under_way, until, working
from tests.redis.worker.stores import KEYS, PARKED, owners, store, take

pytestmark = [pytest.mark.usefixtures("short_reads"), pytest.mark.process]


async def pending(queue: Queue, count: int) -> None:
    async def are_pending() -> bool:
        return len(await owners(queue)) == count

    await until(are_pending, f"{count} pending")


async def parked(queue: Queue) -> None:
    async def is_parked() -> bool:
        return PARKED in (await owners(queue)).values()

    await until(is_parked, "one parked")


async def scripts(queue: Queue) -> int:
    """How many have run."""
    return int((await queue.redis.info("commandstats"))["cmdstat_evalsha"]["calls"])


class Tasks:
    """A handler, whose first task waits for `go_on`."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, int]] = []
        self.go_on = asyncio.Event()

    async def __call__(self, task: dict[str, str], ctx: Context) -> None:
        self.seen.append((task["task"], ctx.attempt))
        if task["task"] == "0":
            await self.go_on.wait()


@asynccontextmanager
async def taken_late(queue: Queue, server: RunningServer, tasks: Tasks, visibility: float) -> AsyncIterator[Worker]:
    """A worker in whose hands is a second task, of which it does not know.

    A network that was cut for seconds delivers what it still holds; nobody waits for the reply any more.
    """

    async def handle(task: dict[str, str], ctx: Context) -> None:
        await tasks(task, ctx)

    async with Proxy(server.port) as proxy, working(proxy.url, handle, visibility_timeout=visibility) as worker:
        proxy.hold(_EXCHANGE.sha)
        await until(lambda: proxy.is_holding, "a request under way")
        await queue.add(2)
        await until(lambda: tasks.seen, "the first task")
        await pending(queue, 1)
        await proxy.let_go()
        await pending(queue, 2)
        yield worker


async def test_what_a_late_request_takes_is_found(queue: Queue, shared_server: RunningServer) -> None:
    tasks = Tasks()
    async with taken_late(queue, shared_server, tasks, 2.0) as worker:
        tasks.go_on.set()
        await until(lambda: worker.counters.acked == 2, "both")
    assert tasks.seen == [("0", 1), ("1", 1)]


async def test_what_a_late_request_takes_goes_to_who_has_a_free_slot(
    queue: Queue, shared_server: RunningServer
) -> None:
    """Uncharged, and before its lease ends."""
    tasks = Tasks()
    async with taken_late(queue, shared_server, tasks, 2.0):
        async with asyncio.timeout(1.5):
            await parked(queue)
        (entry,) = await take(store(queue.redis, "other"))
        assert (entry.fields, entry.attempts, entry.crashes) == ({b"task": b"1"}, 0, 0)
        tasks.go_on.set()
    assert tasks.seen == [("0", 1)]


async def test_what_a_late_request_takes_does_not_go_down_with_the_worker(
    queue: Queue, shared_server: RunningServer
) -> None:
    tasks = Tasks()
    async with taken_late(queue, shared_server, tasks, 600.0) as worker:
        tasks.go_on.set()
        await until(lambda: worker.counters.acked, "the first task")
    assert list((await owners(queue)).values()) == [PARKED]


async def test_a_late_look_at_what_is_held_ends_no_run(queue: Queue, shared_server: RunningServer) -> None:
    """The task began after that request was given up; its run is told of no other."""
    tasks = Tasks()

    async def handle(task: dict[str, str], ctx: Context) -> None:
        await tasks(task, ctx)

    async with Proxy(shared_server.port) as proxy, working(proxy.url, handle, visibility_timeout=600.0) as worker:
        await a_read_is_under_way(queue)
        proxy.hold(_ADOPT.sha)
        await queue.add()
        await until(lambda: tasks.seen, "the task")
        before = await scripts(queue)
        await proxy.let_go()

        async def has_come() -> bool:
            return await scripts(queue) > before

        await until(has_come, "the late request")
        tasks.go_on.set()
        await until(lambda: worker.counters.acked, "its end")
    assert tasks.seen == [("0", 1)]


async def test_large_tasks_arrive_over_a_slow_network(
    queue: Queue, shared_server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many at a time as arrive before the reply is given up."""
    monkeypatch.setattr(pool, "TIMEOUT", 1.0)
    seen: list[tuple[bytes, int]] = []

    async def handle(task: dict[str, bytes], ctx: Context) -> None:
        seen.append((task["task"], ctx.attempt))

    for n in range(16):
        await queue.redis.xadd(queue.stream, {"task": n, "document": b"x" * 400_000})
    async with Proxy(shared_server.port) as proxy:
        proxy.delay = 0.02  # of 64 KiB: all take two seconds
        async with working(proxy.url, handle, concurrency=16, visibility_timeout=600.0) as worker:
            await until(lambda: worker.counters.acked == 16, "all")
    assert sorted(seen) == sorted((b"%d" % n, 1) for n in range(16))


async def test_large_results_leave_the_outbox_over_a_slow_network(
    queue: Queue, shared_server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "TIMEOUT", 2.0)
    for n in range(100):
        await queue.redis.xadd(KEYS.outbox("far"), {"sq-row": f"row-{n}", "document": b"x" * 80_000})
    await queue.redis.sadd(KEYS.outboxes, "far")
    async with Proxy(shared_server.port) as proxy, connect(proxy.url) as client:
        proxy.delay = 0.02  # of 64 KiB: all take more than two seconds
        report = await relay(client, KEYS, budget=20.0)
    assert (report.delivered, report.stuck) == (100, {}) and await queue.redis.xlen("far") == 100


async def test_large_results_arrive_over_a_slow_network(
    queue: Queue, shared_server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many at a time as arrive before the request is given up."""
    monkeypatch.setattr(pool, "TIMEOUT", 1.0)
    go_on = asyncio.Event()

    async def handle(task: dict[str, str]) -> dict[str, str]:
        await go_on.wait()
        return {"document": "x" * 500_000}

    await queue.add(16)
    async with Proxy(shared_server.port) as proxy:
        proxy.delay = 0.02  # of 64 KiB: all take more than two seconds
        async with working(proxy.url, handle, concurrency=16, next_stream="{orders}:next") as worker:
            await until(lambda: worker._consumer and worker._consumer.metrics.in_flight == 16, "all at once")
            go_on.set()
            await until(lambda: worker.counters.acked == 16, "all")
    assert await queue.redis.xlen("{orders}:next") == 16


async def test_more_than_one_command_holds_is_a_dead_letter_and_holds_up_nothing(
    queue: Queue, shared_server: RunningServer
) -> None:
    async def handle(task: dict[str, str]) -> list[dict[str, str]]:
        return [dict.fromkeys(map(str, range(1000)), "")] * (500 if task["task"] == "0" else 300)

    await queue.add(3)
    async with working(shared_server.url, handle, concurrency=3, next_stream="{orders}:next") as worker:
        await until(lambda: (worker.counters.dead, worker.counters.acked) == (1, 2), "all")
    assert "hands on 500 tasks" in (await queue.dead())[0]["sq-cause"]
    assert await queue.redis.xlen("{orders}:next") == 600


async def test_after_slow_times_as_much_is_taken_at_once_as_before(
    queue: Queue, shared_server: RunningServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(pool, "TIMEOUT", 0.2)
    calls: list[int] = []

    async def handle(tasks: list[dict[str, str]]) -> None:
        calls.append(len(tasks))

    async with Proxy(shared_server.port) as proxy, working(proxy.url, handle, batch=True, concurrency=8) as worker:
        await queue.add()
        await until(lambda: worker.counters.acked == 1, "the first task")
        proxy.delay = 0.5
        late = "Redis did not answer in time"
        await until(lambda: sum(said.startswith(late) for said in caplog.messages) > 3, "what is taken one by one")
        proxy.delay = 0.0
        await queue.add(64)
        await until(lambda: worker.counters.acked == 65, "all")
    assert max(calls) == 8


async def test_after_an_absence_as_much_is_settled_at_once_as_before(
    queue: Queue, shared_server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamqueue.worker.reconnecting.LONGEST_PAUSE", 0.05)
    go_on = asyncio.Event()

    async def handle(task: dict[str, str]) -> None:
        await go_on.wait()

    await queue.add(64)
    async with (
        Proxy(shared_server.port) as proxy,
        working(proxy.url, handle, concurrency=64, visibility_timeout=600.0) as worker,
    ):
        await until(lambda: worker._consumer and worker._consumer.metrics.in_flight == 64, "all at once")
        proxy.lead_to(free_port())
        before = proxy.connections
        go_on.set()
        await until(lambda: proxy.connections > before + 9, "tries in vain")
        first = await scripts(queue)
        proxy.lead_to(shared_server.port)
        await until(lambda: worker.counters.acked == 64, "all")
        assert await scripts(queue) - first < 40

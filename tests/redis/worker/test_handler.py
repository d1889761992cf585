"""What a handler is given, and what its worker makes of what it returns, raises and sends."""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pydantic
import pytest

from streamqueue import Context, DeadLetter, Retry, Worker
from streamqueue import Queue as Producer
from streamqueue.streams.settlement import Settlement
from streamqueue.worker import dispatcher
from streamqueue.worker.executors import slots
from streamqueue.worker.settling.settler import Settler
from tests.redis.queue import Queue
from tests.redis.servers.process import RunningServer
from tests.redis.worker.pod import PATIENCE, made, until, working
from tests.redis.worker.stores import KEYS, settle, store, take

pytestmark = [pytest.mark.usefixtures("short_reads"), pytest.mark.process]


@dataclasses.dataclass
class Order:
    sku: str
    amount: int
    tags: list[str] = dataclasses.field(default_factory=list)


class Model(pydantic.BaseModel):
    sku: str
    amount: int
    tags: list[str] = []


@pytest.mark.parametrize(("longest", "told"), [(20.0, False), (20.1, True)])
async def test_a_handler_that_may_outlast_its_pod_is_named(
    queue: Queue, shared_server: RunningServer, caplog: pytest.LogCaptureFixture, longest: float, told: bool
) -> None:
    worker = Worker(redis_url=shared_server.url, stream=queue.stream, group=queue.group, timeout=5.0, grace=20.0)

    @worker.task(timeout=longest)
    async def handle(task: dict[str, str]) -> None: ...

    caplog.set_level("INFO")
    serving = asyncio.create_task(worker.serve())
    await until(lambda: "takes tasks from" in caplog.text, "the worker")
    worker.stop()
    await asyncio.wait_for(serving, PATIENCE)
    assert ("a stop cuts such tasks short; raise handler.timeout" in caplog.text) is told


async def test_payloads_arrive_as_what_the_handler_asks_for(queue: Queue, shared_server: RunningServer) -> None:
    seen: list[Any] = []

    def of_dict(task: dict[str, str]) -> None:
        seen.append(task)

    def of_bytes(task: bytes) -> None:
        seen.append(task)

    def of_dataclass(task: Order) -> None:
        seen.append(task)

    def of_model(task: Model) -> None:
        seen.append(task)

    cases: list[tuple[Callable[..., None], Any, Any]] = [
        (of_dict, {"sku": "x", "amount": 3}, {"sku": "x", "amount": "3"}),
        (of_bytes, b"\xff\x00", b"\xff\x00"),
        (of_dataclass, Order("7", 3, ["a", "ü"]), Order("7", 3, ["a", "ü"])),
        (of_model, Model(sku="7", amount=3, tags=["a"]), Model(sku="7", amount=3, tags=["a"])),
    ]
    async with Producer(shared_server.url, queue.stream) as producer:
        for function, sent, got in cases:
            await producer.send(sent)
            async with working(shared_server.url, function) as worker:
                await until(lambda w=worker: w.counters.acked == 1, function.__name__)  # type: ignore[misc]
            assert seen.pop() == got


@pytest.mark.parametrize(
    "fields", [{"sku": "x", "amount": "many"}, {"amount": "3"}, {"sku": "x", "amount": b"\xff"}, {"nothing": "fits"}]
)
async def test_a_payload_that_does_not_fit_is_set_aside_at_once(
    queue: Queue, shared_server: RunningServer, fields: dict[str, Any]
) -> None:
    ran: list[Order] = []

    async def handle(task: Order) -> None:
        ran.append(task)

    await queue.redis.xadd(queue.stream, fields)
    async with working(shared_server.url, handle) as worker:
        await until(lambda: worker.counters.dead == 1, "the dead letter")
    letter = (await queue.redis.xrange(KEYS.dlq))[0][1]
    assert letter[b"sq-reason"] == b"payload" and (b"amount" in letter[b"sq-cause"] or b"sku" in letter[b"sq-cause"])
    assert not ran


async def test_failures_retry_with_backoff_then_die(
    queue: Queue, shared_server: RunningServer, caplog: pytest.LogCaptureFixture
) -> None:
    attempts: list[int] = []

    async def handle(task: dict[str, str], ctx: Context) -> None:
        attempts.append(ctx.attempt)
        raise LookupError("no such customer")

    await queue.add()
    async with working(shared_server.url, handle, max_deliveries=3) as worker:
        await until(lambda: worker.counters.dead == 1, "the dead letter")
    assert attempts == [1, 2, 3] and worker.counters.parked == 2
    assert (await queue.dead())[0]["sq-cause"] == "LookupError: no such customer"
    assert [f"attempt {n} failed: no such customer" in caplog.text for n in attempts] == [True] * 3
    assert caplog.text.count("Traceback") == 3


async def test_a_dead_letter_that_there_is_no_room_for_is_told(
    queue: Queue, shared_server: RunningServer, caplog: pytest.LogCaptureFixture
) -> None:
    async def handle(task: dict[str, str]) -> None:
        raise DeadLetter("never")

    await queue.add(2)
    async with working(shared_server.url, handle, dead_letter_max_length=1) as worker:
        await until(lambda: (worker.counters.dead, worker.counters.held) == (1, 1), "one of two letters")
    assert caplog.text.count("the dead-letter stream or Redis's memory is full: the task is parked") == 1


async def test_a_handler_says_what_becomes_of_its_task(
    queue: Queue, shared_server: RunningServer, caplog: pytest.LogCaptureFixture
) -> None:
    times: list[float] = []

    async def handle(task: dict[str, str], ctx: Context) -> None:
        if task["task"] == "0":
            raise DeadLetter("never")
        times.append(time.monotonic())
        if len(times) < 8:
            raise Retry("not now", after=0.1, counted=False)

    await queue.add(2)
    async with working(shared_server.url, handle, max_deliveries=2, concurrency=2) as worker:
        await until(lambda: worker.counters.acked == 1, "the retried task")
    assert all(later - earlier >= 0.099 for earlier, later in itertools.pairwise(times)), "Redis's clock has whole ms"
    (letter,) = await queue.dead()
    assert (letter["sq-reason"], letter["sq-cause"]) == ("handler", "never")
    assert "attempt 1 failed: never" in caplog.text and "Traceback" not in caplog.text


async def test_what_a_handler_says_in_a_task_group_is_heard(queue: Queue, shared_server: RunningServer) -> None:
    """Which raises it as a group of one."""

    async def part(task: dict[str, str], attempt: int) -> None:
        if task["task"] == "0":
            raise DeadLetter("no such customer")
        if attempt == 1:
            raise Retry("rate limited", after=0, counted=False)

    async def handle(task: dict[str, str], ctx: Context) -> None:
        async with asyncio.TaskGroup() as group, asyncio.TaskGroup() as inner:
            group.create_task(asyncio.sleep(0))
            inner.create_task(part(task, ctx.attempt + ctx.entry.deliveries - 1))

    await queue.add(2)
    async with working(shared_server.url, handle, max_deliveries=1, concurrency=2) as worker:
        await until(lambda: worker.counters.acked == 1 and worker.counters.dead == 1, "both")
    (letter,) = await queue.dead()
    assert (letter["task"], letter["sq-reason"], letter["sq-cause"]) == ("0", "handler", "no such customer")


@pytest.mark.parametrize(
    "error",
    [SystemExit(3), asyncio.CancelledError(), KeyError("x"), StopIteration(), MemoryError(), BaseException("so")],
)
@pytest.mark.parametrize("kind", ["async", "plain"])
async def test_whatever_a_handler_raises_its_worker_lives(
    queue: Queue, shared_server: RunningServer, error: BaseException, kind: str
) -> None:
    def plain(task: dict[str, str], ctx: Context) -> None:
        if ctx.attempt == 1:
            raise error

    async def in_loop(task: dict[str, str], ctx: Context) -> None:
        plain(task, ctx)

    await queue.add()
    async with working(shared_server.url, plain if kind == "plain" else in_loop) as worker:
        await until(lambda: worker.counters.acked == 1, "the second attempt")
    assert worker.counters.parked == 1


@pytest.mark.parametrize("kind", ["async", "plain"])
async def test_a_handler_past_its_timeout_is_retried(queue: Queue, shared_server: RunningServer, kind: str) -> None:
    release = threading.Event()

    def plain(task: dict[str, str], ctx: Context) -> None:
        if ctx.attempt == 1:
            release.wait(15)

    async def in_loop(task: dict[str, str], ctx: Context) -> None:
        if ctx.attempt == 1:
            await asyncio.sleep(15)

    await queue.add()
    function = plain if kind == "plain" else in_loop
    async with working(shared_server.url, function, timeout=0.2, concurrency=2) as worker:
        await until(lambda: worker.counters.acked == 1, "the second attempt")
        release.set()
    assert worker.counters.parked == 1


@pytest.mark.parametrize("together", [True, False], ids=["batch", "one by one"])
async def test_a_defect_of_ours_ends_the_worker(
    queue: Queue, shared_server: RunningServer, monkeypatch: pytest.MonkeyPatch, together: bool
) -> None:
    """The task would stay in no hands, with a lease that is renewed for ever."""

    def broken(*_: Any, **__: Any) -> None:
        raise LookupError("a defect")

    async def one(task: dict[str, str]) -> None:
        raise ValueError("a failure like any other")

    async def many(tasks: list[dict[str, str]]) -> None:
        raise ValueError("a failure like any other")

    monkeypatch.setattr(Settler, "failed", broken)
    await queue.add()
    with pytest.raises(LookupError, match="a defect"):
        await asyncio.wait_for(
            made(shared_server.url, many if together else one, batch=together, visibility_timeout=600.0).serve(),
            PATIENCE,
        )


@pytest.mark.parametrize("part", ["streams.tasks.TaskStore.renew", "worker.relaying.relay"])
async def test_a_defect_beside_the_loop_ends_the_worker_too(
    queue: Queue, shared_server: RunningServer, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    """It would work on without a heartbeat, or with results that go nowhere."""
    go_on = asyncio.Event()

    async def broken(*_: Any, **__: Any) -> None:
        raise LookupError("a defect")

    async def handle(task: dict[str, str]) -> None:
        await go_on.wait()

    monkeypatch.setattr(f"streamqueue.{part}", broken)
    monkeypatch.setattr("streamqueue.worker.relaying.INTERVAL", 0.1)
    await queue.add()
    with pytest.raises(LookupError, match="a defect"):
        await asyncio.wait_for(made(shared_server.url, handle, visibility_timeout=1.0).serve(), PATIENCE)
    go_on.set()


@pytest.mark.parametrize("together", [True, False], ids=["batch", "one by one"])
async def test_a_coroutine_that_goes_on_after_its_time_holds_its_slot_and_not_its_task(
    queue: Queue, shared_server: RunningServer, monkeypatch: pytest.MonkeyPatch, together: bool
) -> None:
    """As one does whose clean-up never ends: its lease would be renewed for ever."""
    monkeypatch.setattr(slots, "PATIENCE", 0.2)
    over = asyncio.Event()
    runs = 0

    async def handle(task: Any) -> None:
        nonlocal runs
        runs += 1
        while runs == 1 and not over.is_set():
            with suppress(asyncio.CancelledError):
                await over.wait()

    await queue.add()
    async with working(shared_server.url, handle, batch=together, timeout=0.2, concurrency=2) as worker:
        await until(lambda: worker.counters.parked == 1, "the retry")
        if together:
            assert runs == 1, "one call at a time"
            over.set()
        await until(lambda: worker.counters.acked == 1, "the second attempt")
        over.set()
    assert worker.counters.parked == 1


async def test_threads_that_never_return_end_the_worker(
    queue: Queue, shared_server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatcher, "PATIENCE", 0.5)
    release = threading.Event()

    def handle(task: dict[str, str]) -> None:
        release.wait(15)

    await queue.add(2)
    worker = made(shared_server.url, handle, timeout=0.1, concurrency=2, visibility_timeout=600.0)
    with pytest.raises(RuntimeError, match="every slot is held"):
        await asyncio.wait_for(worker.serve(), PATIENCE)
    assert worker.counters.parked == 2
    release.set()


async def test_the_only_slot_is_used_again_when_a_late_thread_returns(
    queue: Queue, shared_server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatcher, "PATIENCE", 60.0)  # its end would look again, too

    def handle(task: dict[str, str], ctx: Context) -> None:
        while ctx.attempt == 1 and not ctx.cancelled:
            time.sleep(0.01)
        time.sleep(0.3)  # till it looks again

    await queue.add()
    async with working(shared_server.url, handle, timeout=0.5, concurrency=1) as worker:
        await until(lambda: worker.counters.acked == 1, "the second attempt")
    assert worker.counters.parked == 1


async def test_results_and_progress_by_id(queue: Queue, shared_server: RunningServer) -> None:
    go_on = asyncio.Event()

    async def handle(task: dict[str, str], ctx: Context) -> Any:
        if ctx.attempt == 1:
            raise Retry("not yet", after=0)
        ctx.progress(0.4, "reading")
        await go_on.wait()
        if task["kind"] == "bad":
            raise DeadLetter("broken")
        return object() if task["kind"] == "garbage" else {"pages": 3}

    async with (
        Producer(shared_server.url, queue.stream) as producer,
        working(shared_server.url, handle, results_ttl=60, concurrency=3),
    ):
        good, bad, garbage = await producer.send_many([{"kind": kind} for kind in ("good", "bad", "garbage")])
        while (result := await producer.result(good.id)).progress is None:  # noqa: ASYNC110 - told by the server alone
            await asyncio.sleep(0.01)
        assert (result.state, result.progress, result.message) == ("running", 0.4, "reading")
        assert result.worker and result.worker.startswith("pod.")
        waiting = asyncio.create_task(producer.wait(good.id, 10))
        with pytest.raises(TimeoutError):
            await producer.wait(good.id, 0.05)
        go_on.set()
        result = await waiting
        assert (result.state, result.value, result.error, result.attempt) == ("done", {"pages": 3}, None, 2)
        assert result.started and result.at and result.started <= result.at <= time.time() + 60 < result.started + 120
        result = await producer.wait(bad.id, 10)
        assert (result.state, result.error) == ("dead", "broken")
        assert (await producer.wait(garbage.id, 10)).value is None
        assert (await producer.result("never-sent")).state == "unknown"
    assert await queue.redis.pttl(KEYS.results + good.id) > 0


@pytest.mark.parametrize("together", [True, False], ids=["batch", "one by one"])
async def test_a_plain_function_around_a_coroutine_function_runs_it(
    queue: Queue, shared_server: RunningServer, together: bool
) -> None:
    """As decorators make them: a coroutine that nobody awaits never ran, and its task would be done."""
    ran: list[Any] = []

    async def handle(task: Any) -> None:
        await asyncio.sleep(0)
        ran.append(task)

    def around(task: Any) -> Any:
        return handle(task)

    await queue.add()
    async with working(shared_server.url, around, batch=together) as worker:
        await until(lambda: worker.counters.acked == 1, "the task")
    assert len(ran) == 1


async def test_a_task_that_waited_to_run_alone_has_all_of_its_time(queue: Queue, shared_server: RunningServer) -> None:
    left: list[float] = []
    go_on = asyncio.Event()

    async def handle(task: dict[str, str], ctx: Context) -> None:
        left.append(ctx.deadline - time.time())
        if task["task"] == "1":
            await go_on.wait()

    await queue.add(2)
    other = store(queue.redis, "other")
    (first,) = await take(other, 1)
    async with working(shared_server.url, handle, concurrency=2) as worker:
        await until(lambda: left, "the task that has the worker")
        await settle(other, (first, Settlement("crash", (0, 1, "it died"))))
        await until(
            lambda: worker._consumer and worker._consumer._dispatcher.runs.alone, "the task that waits for its end"
        )
        await asyncio.sleep(1.0)
        go_on.set()
        await until(lambda: worker.counters.acked == 2, "both")
    assert all(9.5 < each <= 10 for each in left)
    assert worker.counters.released == 0, "it waited in hand"

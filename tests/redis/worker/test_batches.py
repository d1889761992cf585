"""Handlers of many tasks at once, on a real Redis."""

from __future__ import annotations

import asyncio
import dataclasses
import signal
import threading
import time
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from streamqueue import Context, DeadLetter, Retry
from streamqueue import Queue as Producer
from streamqueue.worker import consumer, spans
from tests.redis.proxy import Proxy
from tests.redis.queue import Queue
from tests.redis.servers.process import RunningServer, free_port
from tests.redis.worker.pod import PATIENCE, made, until, working
from tests.redis.worker.program import running, said
from tests.redis.worker.stores import KEYS, PARKED, claim, expire, owners, store, take
from tests.redis.worker.test_metrics import scrape

pytestmark = [pytest.mark.usefixtures("short_reads"), pytest.mark.process]

Task = dict[str, str]
NEXT = "{orders}:next"


@dataclasses.dataclass
class Order:
    task: int


def names(tasks: list[Task]) -> list[str]:
    return [task["task"] for task in tasks]


@pytest.mark.parametrize("kind", ["async", "plain"])
async def test_all_that_waits_is_one_call_of_at_most_concurrency(
    queue: Queue, shared_server: RunningServer, kind: str
) -> None:
    seen: list[list[str]] = []

    def plain(tasks: list[Task]) -> None:
        seen.append(names(tasks))

    async def in_loop(tasks: list[Task]) -> None:
        plain(tasks)

    await queue.add(10)
    function = plain if kind == "plain" else in_loop
    async with working(shared_server.url, function, batch=True, concurrency=4) as worker:
        await until(lambda: worker.counters.acked == 10, "all")
    assert seen == [["0", "1", "2", "3"], ["4", "5", "6", "7"], ["8", "9"]]
    assert await queue.pending() == [] and await queue.redis.hlen(KEYS.lease) == 0


async def test_one_call_at_a_time_and_nothing_is_taken_beside_it(queue: Queue, shared_server: RunningServer) -> None:
    go_on = asyncio.Event()
    seen: list[list[str]] = []

    async def handle(tasks: list[Task]) -> None:
        seen.append(names(tasks))
        await go_on.wait()

    await queue.add(1)
    async with working(shared_server.url, handle, batch=True, concurrency=8):
        await until(lambda: seen, "the first call, which waits for no others")
        await queue.add(3)
        other = store(queue.redis, "another-worker")
        entries = await take(other)
        assert len(entries) == 3, "they were in the hands of a worker that could not start them"
        await queue.add(2)
        go_on.set()
        await until(lambda: len(seen) == 2, "the second call")
    assert seen == [["0"], ["0", "1"]]


async def test_payload_types_contexts_results_and_next(queue: Queue, shared_server: RunningServer) -> None:
    contexts: list[Context] = []

    async def handle(tasks: list[Order], ctxs: list[Context]) -> list[Any]:
        contexts.extend(ctxs)
        ctxs[0].emit("{orders}:audit", {"n": 1})
        return [{"twice": task.task * 2} for task in tasks]

    async with Producer(shared_server.url, queue.stream) as producer:
        sent = [(await producer.send({"task": n}, id=f"id-{n}")).id for n in range(3)]
        async with working(
            shared_server.url, handle, batch=True, concurrency=3, results_ttl=60, next_stream=NEXT
        ) as worker:
            results = [await producer.wait(each, 10) for each in sent]
            await until(lambda: worker.counters.acked == 3, "all")
    assert [result.value for result in results] == [{"twice": 0}, {"twice": 2}, {"twice": 4}]
    assert [(ctx.id, ctx.attempt) for ctx in contexts] == [(f"id-{n}", 1) for n in range(3)]
    rows = [fields for _, fields in await queue.redis.xrange(NEXT)]
    assert [(row[b"sq-id"], row[b"twice"]) for row in rows] == [(b"id-0", b"0"), (b"id-1", b"2"), (b"id-2", b"4")]
    assert await queue.redis.xlen("{orders}:audit") == 1


async def test_an_exception_in_the_list_is_one_tasks_failure(queue: Queue, shared_server: RunningServer) -> None:
    seen: list[list[str]] = []

    async def handle(tasks: list[Task], contexts: list[Context]) -> list[Any]:
        seen.append(names(tasks))
        if contexts[0].attempt > 1:
            return [None] * len(tasks)
        return [None, Retry("not now", after=0.1), DeadLetter("never"), LookupError("lost"), "fine"]

    await queue.add(5)
    async with working(shared_server.url, handle, batch=True, concurrency=5, backoff_initial=0.4) as worker:
        await until(lambda: worker.counters.acked == 4, "all but the dead letter")
    assert seen == [["0", "1", "2", "3", "4"], ["1"], ["3"]]
    assert (worker.counters.parked, worker.counters.dead) == (2, 1)
    (letter,) = await queue.dead()
    assert (letter["task"], letter["sq-reason"], letter["sq-cause"]) == ("2", "handler", "never")


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (LookupError("no model"), "LookupError: no model"),
        (SystemExit(3), "SystemExit: 3"),
        (BaseException("past all handlers"), "BaseException: past all handlers"),
        (Retry("busy"), "busy"),
    ],
)
@pytest.mark.parametrize("kind", ["async", "plain"])
async def test_a_call_that_raises_fails_each_as_if_it_were_alone(
    queue: Queue, shared_server: RunningServer, error: BaseException, cause: str, kind: str
) -> None:
    attempts: list[list[int]] = []

    def plain(tasks: list[Task], contexts: list[Context]) -> None:
        attempts.append([ctx.attempt for ctx in contexts])
        raise error

    async def in_loop(tasks: list[Task], contexts: list[Context]) -> None:
        plain(tasks, contexts)

    await queue.add(3)
    function = plain if kind == "plain" else in_loop
    async with working(shared_server.url, function, batch=True, concurrency=3, max_deliveries=2) as worker:
        await until(lambda: worker.counters.dead == 3, "their dead letters")
    assert worker.counters.parked == 3
    assert sorted(attempt for call in attempts for attempt in call) == [1, 1, 1, 2, 2, 2]
    assert {letter["sq-cause"] for letter in await queue.dead()} == {cause}


async def test_a_call_that_says_dead_letter_sets_all_aside(queue: Queue, shared_server: RunningServer) -> None:
    async def handle(tasks: list[Task]) -> None:
        raise DeadLetter("never")

    await queue.add(3)
    async with working(shared_server.url, handle, batch=True, concurrency=3) as worker:
        await until(lambda: worker.counters.dead == 3, "their dead letters")
    assert worker.counters.parked == 0


class Unreadable(Exception):
    def __str__(self) -> str:
        raise LookupError("no words")


@pytest.mark.parametrize("raised", [True, False])
async def test_an_error_that_cannot_say_what_it_is_fails_its_task(
    queue: Queue, shared_server: RunningServer, raised: bool
) -> None:
    async def handle(tasks: list[Task]) -> list[Any]:
        if raised:
            raise Unreadable
        return [Unreadable()] * len(tasks)

    await queue.add(2)
    async with working(shared_server.url, handle, batch=True, concurrency=2, max_deliveries=1) as worker:
        await until(lambda: worker.counters.dead == 2, "their dead letters")
    assert {letter["sq-cause"] for letter in await queue.dead()} == {
        "RuntimeError: Unreadable, whose text raises LookupError"
    }


@pytest.mark.parametrize("next_stream", ["", NEXT])
@pytest.mark.parametrize("kind", ["async", "plain"])
async def test_a_handler_may_use_up_the_lists_that_it_gets(
    queue: Queue, shared_server: RunningServer, kind: str, next_stream: str
) -> None:
    seen: list[str] = []

    def plain(tasks: list[Task], contexts: list[Context]) -> list[Any] | None:
        results = []
        while tasks:
            seen.append(tasks.pop()["task"])
            results.append({"by": contexts.pop().id})
        return results[::-1] if next_stream else None

    async def in_loop(tasks: list[Task], contexts: list[Context]) -> list[Any] | None:
        return plain(tasks, contexts)

    async def silent(tasks: list[Task]) -> None:
        while tasks:
            seen.append(tasks.pop()["task"])

    ids = await queue.add(3)
    function = plain if kind == "plain" else in_loop if next_stream else silent
    async with working(shared_server.url, function, batch=True, concurrency=3, next_stream=next_stream) as worker:
        await until(lambda: worker.counters.acked == 3, "all")
    assert seen == ["2", "1", "0"]
    assert [fields[b"by"].decode() for _, fields in await queue.redis.xrange(NEXT)] == (ids if next_stream else [])


@pytest.mark.parametrize(
    ("returned", "cause"),
    [
        ([1], "the handler returned a list of 1 for a batch of 3: return None, or a list with one item per task"),
        ({"a": 1}, "the handler returned dict for a batch of 3: return None, or a list with one item per task"),
    ],
)
async def test_results_that_fit_no_task_are_a_failure_that_says_so(
    queue: Queue, shared_server: RunningServer, returned: Any, cause: str
) -> None:
    async def handle(tasks: list[Task]) -> Any:
        return returned

    await queue.add(3)
    async with working(shared_server.url, handle, batch=True, concurrency=3, max_deliveries=1) as worker:
        await until(lambda: worker.counters.dead == 3, "their dead letters")
    assert [letter["sq-cause"] for letter in await queue.dead()] == [cause] * 3


async def test_a_payload_that_does_not_fit_fails_alone(queue: Queue, shared_server: RunningServer) -> None:
    seen: list[list[int]] = []

    async def handle(tasks: list[Order]) -> list[Any]:
        seen.append([task.task for task in tasks])
        return [{"n": task.task} for task in tasks]

    for value in ("0", "many", "2"):
        await queue.redis.xadd(queue.stream, {"task": value})
    async with working(shared_server.url, handle, batch=True, concurrency=3, next_stream=NEXT) as worker:
        await until(lambda: worker.counters.acked == 2 and worker.counters.dead == 1, "all three")
    assert seen == [[0, 2]]
    assert [fields[b"n"] for _, fields in await queue.redis.xrange(NEXT)] == [b"0", b"2"], "results of other tasks"
    (letter,) = await queue.dead()
    assert (letter["task"], letter["sq-reason"]) == ("many", "payload")


async def test_a_batch_of_nothing_that_fits_calls_nobody(queue: Queue, shared_server: RunningServer) -> None:
    calls: list[int] = []

    async def handle(tasks: list[Order]) -> None:
        calls.append(len(tasks))

    await queue.redis.xadd(queue.stream, {"task": "many"})
    async with working(shared_server.url, handle, batch=True, concurrency=3) as worker:
        await until(lambda: worker.counters.dead == 1, "the dead letter")
        await queue.add(1)
        await until(lambda: worker.counters.acked == 1, "the next")
    assert calls == [1]


@pytest.mark.parametrize("kind", ["async", "plain"])
async def test_a_call_past_its_timeout_is_retried(queue: Queue, shared_server: RunningServer, kind: str) -> None:
    told: list[bool] = []

    def plain(tasks: list[Task], contexts: list[Context]) -> None:
        while contexts[0].attempt == 1:
            if contexts[0].cancelled:
                told.append(contexts[-1].cancelled)
                time.sleep(0.3)  # till it has cleaned up
                return

    async def in_loop(tasks: list[Task], contexts: list[Context]) -> None:
        if contexts[0].attempt == 1:
            try:
                await asyncio.sleep(15)
            finally:
                told.append(contexts[-1].cancelled)

    await queue.add(2)
    function = plain if kind == "plain" else in_loop
    settings = {"timeout": 0.5, "concurrency": 2, "results_ttl": 60.0, "backoff_initial": 0.5}
    async with working(shared_server.url, function, batch=True, **settings) as worker:
        await until(lambda: worker.counters.parked == 2, "the time-outs")
        ids = [entry for entry, _ in await queue.entries()]
        assert await queue.redis.hget(KEYS.results + ids[0], "error") == b"timeout after 0.5 s"
        await until(lambda: told, "the end of the call")
        await until(lambda: worker.counters.acked == 2, "the second attempt")
    assert told == [True]


async def test_a_thread_that_never_returns_ends_the_worker(
    queue: Queue, shared_server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer, "PATIENCE", 0.5)
    release = threading.Event()

    def handle(tasks: list[Task]) -> None:
        release.wait(15)

    await queue.add(2)
    worker = made(shared_server.url, handle, batch=True, timeout=0.1, concurrency=4)
    with pytest.raises(RuntimeError, match="every slot is held"):
        await asyncio.wait_for(worker.serve(), PATIENCE)
    assert worker.counters.parked == 2
    release.set()


async def test_leases_are_renewed_for_all(queue: Queue, shared_server: RunningServer) -> None:
    calls: list[int] = []

    async def handle(tasks: list[Task]) -> None:
        calls.append(len(tasks))
        await asyncio.sleep(1.5)

    await queue.add(3)
    thief = store(queue.redis, "thief", visibility_timeout=0.6)
    async with working(shared_server.url, handle, batch=True, concurrency=3, visibility_timeout=0.6) as worker:
        while worker.counters.acked < 3:
            assert await claim(thief) == []
            await asyncio.sleep(0.05)
    assert calls == [3] and worker.counters.stolen == 0


async def stolen(queue: Queue, entry: str) -> None:
    await expire(queue, entry)
    assert [each.id for each in await claim(store(queue.redis, "thief"))] == [entry]


@pytest.mark.parametrize("next_stream", ["", NEXT])
async def test_one_lost_lease_stops_no_other_task(queue: Queue, shared_server: RunningServer, next_stream: str) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()
    contexts: list[Context] = []

    async def handle(tasks: list[Task], ctxs: list[Context]) -> list[Any]:
        contexts.extend(ctxs)
        await silent(tasks)
        return [{"by": "the batch"} for _ in tasks]

    async def silent(tasks: list[Task]) -> None:
        begun.set()
        await go_on.wait()

    ids = await queue.add(3)
    settings = {"concurrency": 3, "next_stream": next_stream, "visibility_timeout": 1.5}
    function = handle if next_stream else silent
    async with working(shared_server.url, function, batch=True, **settings) as worker:
        await begun.wait()
        await stolen(queue, ids[1])
        await until(lambda: worker.counters.stolen == 1, "the heartbeat that sees it")
        assert [ctx.cancelled for ctx in contexts] == ([False, True, False] if next_stream else [])
        go_on.set()
        await until(lambda: worker.counters.acked == 2, "the others")
    assert worker.counters.stolen == 1, "it was settled once more"
    assert await owners(queue) == {ids[1]: "thief"} and await queue.redis.xlen(NEXT) == (2 if next_stream else 0)


async def test_a_lease_that_is_lost_unseen_is_fenced(queue: Queue, shared_server: RunningServer) -> None:
    go_on = asyncio.Event()
    begun = asyncio.Event()

    async def handle(tasks: list[Task]) -> None:
        begun.set()
        await go_on.wait()

    ids = await queue.add(3)
    async with working(shared_server.url, handle, batch=True, concurrency=3, visibility_timeout=60) as worker:
        await begun.wait()
        await stolen(queue, ids[1])
        go_on.set()  # before any heartbeat
        await until(lambda: worker.counters.acked == 2, "the others")
    assert worker.counters.stolen == 1 and await owners(queue) == {ids[1]: "thief"}


async def test_a_batch_whose_acknowledgement_went_unanswered_counts_once(
    queue: Queue, shared_server: RunningServer
) -> None:
    calls: list[int] = []
    async with Proxy(shared_server.port) as proxy:

        async def handle(tasks: list[Task]) -> None:
            calls.append(len(tasks))
            proxy.lose_reply = 1

        await queue.add(3)
        async with working(proxy.url, handle, batch=True, concurrency=3) as worker:
            await until(lambda: worker.counters.acked == 3, "the verdict of the second call")
    assert calls == [3] and proxy.lost == 1 and await queue.pending() == []


async def test_a_batch_whose_leases_are_all_lost_is_cancelled(queue: Queue, shared_server: RunningServer) -> None:
    cancelled = asyncio.Event()
    begun = asyncio.Event()

    async def handle(tasks: list[Task]) -> None:
        if "2" in names(tasks):
            return
        begun.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    ids = await queue.add(2)
    settings = {"concurrency": 2, "visibility_timeout": 1.5, "timeout": 30.0}
    async with working(shared_server.url, handle, batch=True, **settings) as worker:
        await begun.wait()
        for each in ids:
            await stolen(queue, each)
        await asyncio.wait_for(cancelled.wait(), 10)
        await queue.redis.xadd(queue.stream, {"task": "2"})
        await until(lambda: worker.counters.acked == 1, "the next batch")
    assert worker.counters.stolen == 2 and set((await owners(queue)).values()) == {"thief"}


async def test_a_task_that_killed_a_worker_is_a_batch_of_one(queue: Queue, shared_server: RunningServer) -> None:
    seen: list[list[str]] = []

    async def handle(tasks: list[Task]) -> None:
        seen.append(names(tasks))

    ids = await queue.add(3)
    await take(store(queue.redis, "died"), 1)
    await expire(queue, ids[0])
    async with working(shared_server.url, handle, batch=True, concurrency=8, visibility_timeout=0.4) as worker:
        await until(lambda: worker.counters.claimed == 1, "the take-over")
        await queue.add(2)
        await until(lambda: worker.counters.acked == 5, "all")
    assert ["0"] in seen and sum(len(call) for call in seen) == 5, seen


async def test_tasks_of_all_sources_share_a_call(queue: Queue, shared_server: RunningServer) -> None:
    """A retry that is due, what an earlier process left, and new ones."""
    seen: list[list[str]] = []
    failed = asyncio.Event()

    async def handle(tasks: list[Task]) -> list[Any]:
        seen.append(names(tasks))
        if len(seen) == 1:
            failed.set()
            return [Retry("again", after=0.3)]
        return [None] * len(tasks)

    await queue.add(1)
    async with working(shared_server.url, handle, batch=True, concurrency=8) as worker:
        await until(lambda: worker.counters.parked == 1, "the first")
    await asyncio.sleep(0.35)  # its delay, by the server's clock
    for n in (1, 2):
        await queue.redis.xadd(queue.stream, {"task": str(n)})
    async with working(shared_server.url, handle, batch=True, concurrency=8) as worker:
        await until(lambda: worker.counters.acked == 3, "all")
    assert seen == [["0"], ["0", "1", "2"]]


async def test_metrics_count_each_task(queue: Queue, shared_server: RunningServer) -> None:
    go_on = asyncio.Event()
    calls: list[int] = []

    async def handle(tasks: list[Task]) -> list[Any]:
        calls.append(len(tasks))
        if len(calls) == 2:
            await go_on.wait()
        return [DeadLetter("no") if task["task"] == "0" else None for task in tasks]

    await queue.add(4)
    port = free_port()
    async with working(shared_server.url, handle, batch=True, concurrency=4, metrics_port=port) as worker:
        await until(lambda: worker.counters.acked == 3, "the first batch")
        await queue.add(3)
        await until(lambda: len(calls) == 2 and calls, "the second")
        found = await scrape(port)
        go_on.set()
    assert found["streamqueue_worker_in_flight", ""] == calls[1]
    assert [found[f"streamqueue_worker_{name}_total", ""] for name in ("processed", "dead")] == [3, 1]
    assert found["streamqueue_worker_duration_seconds_count", ""] == 4
    assert found["streamqueue_worker_end_to_end_seconds_count", ""] == 3


async def test_progress_of_each_task(queue: Queue, shared_server: RunningServer) -> None:
    go_on = asyncio.Event()

    async def handle(tasks: list[Task], contexts: list[Context]) -> None:
        for n, ctx in enumerate(contexts):
            ctx.progress(n / 4, f"at {n}")
        await go_on.wait()

    async with Producer(shared_server.url, queue.stream) as producer:
        sent = await producer.send_many([{"n": n} for n in range(2)])
        async with working(shared_server.url, handle, batch=True, concurrency=4, results_ttl=60):
            for n, each in enumerate(sent):
                while (result := await producer.result(each.id)).progress is None:  # noqa: ASYNC110 - the server's
                    await asyncio.sleep(0.01)
                assert (result.progress, result.message) == (n / 4, f"at {n}")
            go_on.set()


async def test_each_task_keeps_its_own_trace(
    queue: Queue, shared_server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(spans, "tracer", provider.get_tracer("test"))
    monkeypatch.setattr(spans, "is_recorded", lambda: True)

    async def handle(tasks: list[Task]) -> list[Any]:
        return [{"n": task["n"]} if task["n"] != "1" else DeadLetter("never") for task in tasks]

    async with Producer(shared_server.url, queue.stream) as producer:
        for n in range(3):
            await producer.send({"n": n})
    async with working(shared_server.url, handle, batch=True, concurrency=3, next_stream=NEXT) as worker:
        await until(lambda: worker.counters.acked == 2, "the tasks")
    found: dict[str, list[Any]] = {}
    for span in exporter.get_finished_spans():
        found.setdefault(span.name, []).append(span)
    sent, each, (call,) = found["send orders"], found["process orders"], found["batch orders"]
    assert [span.parent.span_id for span in each] == [span.context.span_id for span in sent]
    assert [span.status.status_code for span in each] == [StatusCode.UNSET, StatusCode.ERROR, StatusCode.UNSET]
    assert call.parent is None and [link.context for link in call.links] == [span.context for span in each]
    handed_on = [fields[b"sq-traceparent"].decode() for _, fields in await queue.redis.xrange(NEXT)]
    assert [text.split("-")[1] for text in handed_on] == [f"{each[n].context.trace_id:032x}" for n in (0, 2)]


PROGRAM = """
import os, time
from streamqueue import Worker
worker = Worker()
@worker.batch
def handle(tasks, contexts):
    what = ",".join(f"{task['task']}/{ctx.attempt}" for task, ctx in zip(tasks, contexts))
    os.write(1, f"{os.getpid()} {what}\\n".encode())
    if os.environ.get("POISON") in [task["task"] for task in tasks]:
        os.kill(os.getpid(), 9)
    time.sleep(float(os.environ.get("SECONDS", "0")))
worker.run()
"""


def process(
    server: RunningServer, *, concurrency: int = 4, seconds: str = "0", poison: str = "", **settings: str
) -> AbstractAsyncContextManager[asyncio.subprocess.Process]:
    environment = {"SECONDS": seconds, "POISON": poison}
    return running(PROGRAM, server, environment, CONCURRENCY=str(concurrency), **settings)


async def calls(child: asyncio.subprocess.Process, count: int) -> list[list[str]]:
    """The next calls: their tasks, as task/attempt."""
    return [line[1].split(",") for line in await said(child, count)]


async def ended(child: asyncio.subprocess.Process) -> None:
    child.send_signal(signal.SIGTERM)
    assert await asyncio.wait_for(child.wait(), 20) == 0


async def test_sigterm_finishes_the_batch_and_takes_no_more(queue: Queue, shared_server: RunningServer) -> None:
    await queue.add(6)
    async with process(shared_server, seconds="0.5") as child:
        assert await calls(child, 1) == [["0/1", "1/1", "2/1", "3/1"]]
        await ended(child)
    snapshot = await queue.snapshot()
    assert (snapshot.pending, snapshot.parked, snapshot.due, snapshot.undelivered) == (0, 0, 0, 2)
    assert snapshot.consumers == ()


async def test_a_batch_that_does_not_end_in_time_is_handed_back_uncounted(
    queue: Queue, shared_server: RunningServer
) -> None:
    await queue.add(3)
    async with process(shared_server, seconds="60", GRACE="0.3") as child:
        await calls(child, 1)
        child.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(child.wait(), 10) == 0
    assert set((await owners(queue)).values()) == {PARKED}
    entries = await take(store(queue.redis, "next"))
    assert [(entry.attempts, entry.crashes) for entry in entries] == [(0, 0)] * 3


async def test_with_processes_a_poison_task_kills_a_batch_once_then_runs_alone(
    queue: Queue, shared_server: RunningServer
) -> None:
    await queue.add(4)
    more = {"PROCESSES": "2", "MAX_DELIVERIES": "2"}
    async with process(shared_server, concurrency=8, poison="2", **more) as child:
        seen = await calls(child, 5)
        async with asyncio.timeout(20):
            while not (dead := await queue.dead()) or await queue.pending():  # noqa: ASYNC110 - the server's
                await asyncio.sleep(0.02)
        await ended(child)
    assert [(letter["task"], letter["sq-cause"]) for letter in dead] == [("2", "process ended by SIGKILL")]
    again = [call for call in seen if call[0].endswith("/2")]
    assert sorted(again) == [["0/2"], ["1/2"], ["2/2"], ["3/2"]], seen

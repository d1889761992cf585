"""Handlers of many tasks at once, on a real Redis: what a call gets, and what becomes of what it returns."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from streamqueue import Context, DeadLetter, Retry
from streamqueue import Queue as Producer
from streamqueue.worker.tracing import spans
from tests.redis.queue import Queue
from tests.redis.servers.process import RunningServer, free_port
from tests.redis.worker.batches import NEXT, Order, Task, names
from tests.redis.worker.pod import until, working
from tests.redis.worker.stores import KEYS, expire, store, take
from tests.redis.worker.test_metrics import scrape

pytestmark = [pytest.mark.usefixtures("short_reads"), pytest.mark.process]


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
        # What waits as a call ends is taken with its settlement, and where nothing failed settled as a whole.
        await queue.redis.xadd(queue.stream, {"task": "1", "sq-enqueued-at": "946684900000"})
        go_on.set()
        await until(lambda: worker.counters.acked == 6, "all")
        later = await scrape(port)
    assert found["streamqueue_worker_in_flight", ""] == calls[1]
    assert [found[f"streamqueue_worker_{name}_total", ""] for name in ("processed", "dead")] == [3, 1]
    assert found["streamqueue_worker_duration_seconds_count", ""] == 4
    assert [each["streamqueue_worker_end_to_end_seconds_count", ""] for each in (found, later)] == [3, 6]
    sums = [each["streamqueue_worker_end_to_end_seconds_sum", ""] for each in (found, later)]
    assert 0 < sums[0] < 3600 and sums[1] > 25 * 365 * 86400, "since 2000"


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


@pytest.fixture
def finished(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], dict[str, list[Any]]]]:
    """The spans that have ended, by name."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(spans, "tracer", provider.get_tracer("test"))
    monkeypatch.setattr(spans, "is_recorded", lambda: True)

    def by_name() -> dict[str, list[Any]]:
        found: dict[str, list[Any]] = {}
        for span in exporter.get_finished_spans():
            found.setdefault(span.name, []).append(span)
        return found

    yield by_name
    provider.shutdown()


async def test_each_task_keeps_its_own_trace(
    queue: Queue, shared_server: RunningServer, finished: Callable[[], dict[str, list[Any]]]
) -> None:
    async def handle(tasks: list[Task]) -> list[Any]:
        return [{"n": task["n"]} if task["n"] != "1" else DeadLetter("never") for task in tasks]

    async with Producer(shared_server.url, queue.stream) as producer:
        for n in range(3):
            await producer.send({"n": n})
    with spans.tracer.start_as_current_span("the program"):  # which is as long as the worker: no parent of its calls
        async with working(shared_server.url, handle, batch=True, concurrency=3, next_stream=NEXT) as worker:
            await until(lambda: worker.counters.acked == 2, "the tasks")
    found = finished()
    sent, each, (call,) = found["send orders"], found["process orders"], found["batch orders"]
    assert [span.parent.span_id for span in each] == [span.context.span_id for span in sent]
    assert [span.status.status_code for span in each] == [StatusCode.UNSET, StatusCode.ERROR, StatusCode.UNSET]
    assert call.parent is None and [link.context for link in call.links] == [span.context for span in each]
    assert call.attributes == {
        "messaging.system": "redis",
        "messaging.destination.name": queue.stream,
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.consumer.group.name": queue.group,
        "messaging.batch.message_count": 3,
    }
    handed_on = [fields[b"sq-traceparent"].decode() for _, fields in await queue.redis.xrange(NEXT)]
    own = [(f"{each[n].context.trace_id:032x}", f"{each[n].context.span_id:016x}") for n in (0, 2)]
    assert [tuple(text.split("-")[1:3]) for text in handed_on] == own


@pytest.mark.parametrize("error", [None, LookupError("no model")])
async def test_the_end_of_a_call_is_that_of_each_span(
    queue: Queue,
    shared_server: RunningServer,
    finished: Callable[[], dict[str, list[Any]]],
    error: Exception | None,
) -> None:
    async def handle(tasks: list[Task]) -> None:
        if error:
            raise error

    await queue.add(2)
    async with working(shared_server.url, handle, batch=True, concurrency=2, max_deliveries=1) as worker:
        await until(lambda: worker.counters.acked + worker.counters.dead == 2, "both")
    each = finished()["process orders"]
    assert [(span.status.status_code, span.status.description) for span in each] == [
        (StatusCode.ERROR, "LookupError: no model") if error else (StatusCode.UNSET, None)
    ] * 2
    assert not any(span.parent or span.links for span in each), "nobody's trace came along"
    assert [event.name for span in each for event in span.events] == ["exception"] * (2 if error else 0)

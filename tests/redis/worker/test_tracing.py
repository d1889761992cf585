"""One trace from the producer through the stages of a pipeline, and through programs that know nothing of traces."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from streamqueue import Context, Retry
from streamqueue import Queue as Producer
from streamqueue.worker.tracing import hooks, spans
from tests.redis.queue import Queue
from tests.redis.servers.process import RunningServer
from tests.redis.worker.pod import until, working
from tests.redis.worker.program import running, said

pytestmark = pytest.mark.process

NEXT = "paid"
PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
OTHER = PARENT.replace("4", "5")
MESSAGING = {"messaging.system": "redis", "messaging.destination.name": Queue.stream}


def operation(name: str) -> dict[str, str]:
    return {"messaging.operation.name": name, "messaging.operation.type": name}


@pytest.fixture
def finished(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], dict[str, ReadableSpan]]]:
    """The spans that have ended, by name."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(spans, "tracer", provider.get_tracer("test"))
    yield lambda: {span.name: span for span in exporter.get_finished_spans()}
    provider.shutdown()


async def test_one_trace_from_the_producer_through_the_stages(
    queue: Queue, shared_server: RunningServer, finished: Callable[[], dict[str, ReadableSpan]]
) -> None:
    seen: list[int] = []

    def handle(task: dict[str, str], ctx: Context) -> dict[str, str]:  # in a thread
        seen.append(trace.get_current_span().get_span_context().span_id)
        ctx.emit("audit", {"n": task["n"]})
        return {"n": task["n"]}

    async with Producer(shared_server.url, queue.stream) as producer:
        sent = await producer.send({"n": 1})
    async with working(shared_server.url, handle, next_stream=NEXT):
        await until(lambda: "process orders" in finished(), "the span")
        await until(lambda: queue.redis.exists(NEXT), "the next task")

    send, process = finished()["send orders"], finished()["process orders"]
    assert (send.kind, process.kind) == (SpanKind.PRODUCER, SpanKind.CONSUMER)
    assert (send.attributes, process.attributes) == (
        {**MESSAGING, **operation("send"), "messaging.batch.message_count": 1},
        {
            **MESSAGING,
            **operation("process"),
            "messaging.consumer.group.name": queue.group,
            "messaging.message.id": sent.id,
            "streamqueue.origin_id": sent.id,
            "streamqueue.attempt": 1,
        },
    )
    assert process.parent and process.parent.span_id == send.context.span_id
    assert [link.context.span_id for link in process.links] == [send.context.span_id]
    assert process.context.trace_id == send.context.trace_id
    assert seen == [process.context.span_id], "the handler's own spans have another parent"
    own = process.context
    expected = f"00-{own.trace_id:032x}-{own.span_id:016x}-{own.trace_flags:02x}"
    for stream in (NEXT, "audit"):
        ((_, fields),) = await queue.redis.xrange(stream)
        assert fields[b"sq-traceparent"].decode() == expected, "the next stage begins a trace of its own"


async def test_what_is_sent_together_has_one_span(
    queue: Queue, shared_server: RunningServer, finished: Callable[[], dict[str, ReadableSpan]]
) -> None:
    async with Producer(shared_server.url, queue.stream) as producer:
        await producer.send_many([{"n": 1}, {"n": 2}])
    span = finished()["send orders"]
    assert span.attributes and span.attributes["messaging.batch.message_count"] == 2
    sent = [fields[b"sq-traceparent"].decode().split("-")[2] for _, fields in await queue.redis.xrange(queue.stream)]
    assert sent == [f"{span.context.span_id:016x}"] * 2


async def test_a_failed_run_is_a_failed_span(
    queue: Queue, shared_server: RunningServer, finished: Callable[[], dict[str, ReadableSpan]]
) -> None:
    async def handle(task: dict[str, str]) -> None:
        raise Retry("the shop is closed", after=60)

    await queue.redis.xadd(queue.stream, {"n": "1", "sq-origin": "upload", "traceparent": PARENT, "tracestate": "a=1"})
    async with working(shared_server.url, handle) as worker:
        await until(lambda: worker.counters.parked == 1, "the failure")
    span = finished()["process orders"]
    assert span.status.status_code is StatusCode.ERROR and "the shop is closed" in str(span.status.description)
    assert span.attributes and span.attributes["streamqueue.origin_id"] == "upload"
    assert f"{span.context.trace_id:032x}" == PARENT.split("-")[1], "a producer's own context was not taken up"


@pytest.mark.parametrize("installed", [True, False])
async def test_without_a_tracer_the_context_is_passed_on(
    queue: Queue, shared_server: RunningServer, installed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not installed:
        monkeypatch.setitem(sys.modules, "opentelemetry.trace", None)
        monkeypatch.setattr(hooks, "_spans", hooks.load())
        assert hooks._spans is None

    async def handle(task: dict[str, str]) -> Any:
        return {"n": task["n"]}

    task = {"n": "1", "traceparent": OTHER, "sq-traceparent": PARENT, "sq-tracestate": "a=1"}
    await queue.redis.xadd(queue.stream, task)
    async with working(shared_server.url, handle, next_stream=NEXT) as worker:
        await until(lambda: worker.counters.acked == 1, "the task")
    ((_, fields),) = await queue.redis.xrange(NEXT)
    assert (fields[b"sq-traceparent"].decode(), fields[b"sq-tracestate"]) == (PARENT, b"a=1")


PROGRAM = """
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from streamqueue import Worker
worker = Worker()
@worker.task
async def handle(task):
    print(trace.get_current_span().is_recording(), flush=True)
trace.set_tracer_provider(TracerProvider())
worker.run()
"""


async def test_a_task_without_a_trace_begins_one_where_the_program_makes_spans(
    queue: Queue, shared_server: RunningServer
) -> None:
    await queue.add()
    async with running(PROGRAM, shared_server, {}) as child:
        assert await said(child, 1) == [["True"]]


@pytest.mark.parametrize("installed", [True, False])
async def test_without_traces_nothing_is_added(
    queue: Queue, shared_server: RunningServer, installed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not installed:
        monkeypatch.setattr(hooks, "_spans", None)
    async with Producer(shared_server.url, queue.stream) as producer:
        await producer.send({"n": 1}, id="x")
    ((_, fields),) = await queue.redis.xrange(queue.stream)
    assert fields == {b"sq-id": b"x", b"n": b"1"}

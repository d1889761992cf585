"""Spans of OpenTelemetry, named and attributed by its conventions for messaging."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from opentelemetry import trace
from opentelemetry.context import Context as Empty
from opentelemetry.trace import Link, Span, SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

if TYPE_CHECKING:
    from streamqueue.worker.context import Context
    from streamqueue.worker.payload.trace_context import Fields

_W3C = TraceContextTextMapPropagator()

tracer = trace.get_tracer("streamqueue")


def is_recorded() -> bool:
    """Whether the program has set up a provider: with the API alone spans only pass their context on."""
    return not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)


@contextmanager
def sending(stream: str, count: int) -> Iterator[Fields]:
    attributes: dict[str, str | int] = {**_common(stream, "send"), "messaging.batch.message_count": count}
    with tracer.start_as_current_span(f"send {stream}", kind=SpanKind.PRODUCER, attributes=attributes):
        yield _fields()


@contextmanager
def processing(stream: str, group: str, ctx: Context) -> Iterator[Fields]:
    with trace.use_span(_begun(stream, group, ctx), end_on_exit=True):
        yield _fields()


@contextmanager
def processing_batch(
    stream: str, group: str, contexts: Sequence[Context], results: Sequence[Any]
) -> Iterator[list[Fields]]:
    """A span for each task as if it were alone, and one for the call, current and linked to all of them. An exception
    in `results` is its task's failure, one that is raised is everyone's.
    """
    spans = [_begun(stream, group, ctx) for ctx in contexts]
    attributes = {
        **_common(stream, "process"),
        "messaging.consumer.group.name": group,
        "messaging.batch.message_count": len(spans),
    }
    links = [Link(span.get_span_context()) for span in spans]
    errors: Sequence[Any] = results
    try:
        with tracer.start_as_current_span(f"batch {stream}", context=Empty(), links=links, attributes=attributes):
            yield [_fields(trace.set_span_in_context(span)) for span in spans]
    except BaseException as exc:
        errors = [exc] * len(spans)
        raise
    finally:
        for span, error in zip(spans, errors, strict=True):
            if isinstance(error, BaseException):
                span.record_exception(error)
                span.set_status(StatusCode.ERROR, f"{type(error).__name__}: {error}")
            span.end()


def _begun(stream: str, group: str, ctx: Context) -> Span:
    """A child of the span that sent the task, and linked to it: some tools follow the one, some the other."""
    parent = _W3C.extract({name.removeprefix("sq-"): value for name, value in ctx.trace})
    sender = trace.get_current_span(parent).get_span_context()
    attributes: dict[str, str | int] = {
        **_common(stream, "process"),
        "messaging.consumer.group.name": group,
        "messaging.message.id": ctx.id,
        "streamqueue.origin_id": ctx.origin_id,
        "streamqueue.attempt": ctx.attempt,
    }
    return tracer.start_span(
        f"process {stream}",
        context=parent,
        kind=SpanKind.CONSUMER,
        links=[Link(sender)] if sender.is_valid else [],
        attributes=attributes,
    )


def _common(stream: str, operation: str) -> dict[str, str | int]:
    return {
        "messaging.system": "redis",
        "messaging.destination.name": stream,
        "messaging.operation.type": operation,
        "messaging.operation.name": operation,
    }


def _fields(context: Empty | None = None) -> Fields:
    """Those that carry the span of `context`; default: the current one."""
    carrier: dict[str, str] = {}
    _W3C.inject(carrier, context)
    return [(f"sq-{name}", value) for name, value in carrier.items()]

"""Spans of OpenTelemetry, named and attributed by its conventions for messaging."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from opentelemetry import trace
from opentelemetry.trace import Link, SpanKind
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

if TYPE_CHECKING:
    from streamqueue.worker.context import Context
    from streamqueue.worker.tracing import Fields

_W3C = TraceContextTextMapPropagator()

tracer = trace.get_tracer("streamqueue")


def is_recorded() -> bool:
    """Whether the program has set up a provider: with the API alone spans only pass their context on."""
    return not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)


@contextmanager
def sending(stream: str, count: int) -> Iterator[Fields]:
    attributes: dict[str, str | int] = {**_common(stream, "send"), "messaging.batch.message_count": count}
    with tracer.start_as_current_span(f"send {stream}", kind=SpanKind.PRODUCER, attributes=attributes):
        yield _current()


@contextmanager
def processing(stream: str, group: str, ctx: Context) -> Iterator[Fields]:
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
    with tracer.start_as_current_span(
        f"process {stream}",
        context=parent,
        kind=SpanKind.CONSUMER,
        links=[Link(sender)] if sender.is_valid else [],
        attributes=attributes,
    ):
        yield _current()


def _common(stream: str, operation: str) -> dict[str, str | int]:
    return {
        "messaging.system": "redis",
        "messaging.destination.name": stream,
        "messaging.operation.type": operation,
        "messaging.operation.name": operation,
    }


def _current() -> Fields:
    carrier: dict[str, str] = {}
    _W3C.inject(carrier)
    return [(f"sq-{name}", value) for name, value in carrier.items()]

"""Traces through queues: the W3C trace context travels in the task's fields.

Spans are made where `opentelemetry-api` is installed (the extra `tracing`); without it the context is passed on as it
came, so that a stage without it breaks no trace.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from streamqueue.worker.payload.trace_context import Fields


def load() -> Any:
    """The module that makes spans; None where the package is not installed."""
    try:
        import_module("opentelemetry.trace")
    except ModuleNotFoundError:
        return None
    return import_module("streamqueue.worker.tracing.spans")


_spans = load()


@contextmanager
def sending(stream: str, count: int) -> Iterator[Fields]:
    """Around a send of `count` tasks; the fields that go with each."""
    if _spans is None:
        yield []
        return
    with _spans.sending(stream, count) as fields:
        yield fields


def is_recorded() -> bool:
    """Whether spans come to anything: the program has set up a provider, which it does before it runs a worker."""
    return _spans is not None and bool(_spans.is_recorded())


@contextmanager
def processing(stream: str, group: str, ctx: Any) -> Iterator[None]:
    """Around a handler's run of `ctx`. What it sends, emits and hands on belongs to its span."""
    if _spans is None:
        yield
        return
    with _spans.processing(stream, group, ctx) as fields:
        ctx.trace = fields
        yield


@contextmanager
def processing_batch(stream: str, group: str, contexts: Sequence[Any]) -> Iterator[list[Any]]:
    """Around a call for many tasks. A span for each, to which what it emits and hands on belongs; and one for the call,
    to which the rest does. Into the list goes what became of each task, where that is known. Only where spans are made.
    """
    results: list[Any] = []
    with _spans.processing_batch(stream, group, contexts, results) as fields:
        for ctx, trace in zip(contexts, fields, strict=True):
            ctx.trace = trace
        yield results

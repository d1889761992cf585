"""StreamQueue: a Kubernetes operator and autoscaler for Redis Streams task queues, with the SDK for its workers."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from streamqueue.worker import (
        Context,
        DeadLetter,
        PayloadError,
        Queue,
        Result,
        Retry,
        Sent,
        SettingsError,
        State,
        SyncQueue,
        Worker,
    )

__all__ = [
    "Context",
    "DeadLetter",
    "PayloadError",
    "Queue",
    "Result",
    "Retry",
    "Sent",
    "SettingsError",
    "State",
    "SyncQueue",
    "Worker",
]


def __getattr__(name: str) -> Any:
    """The SDK, when it is asked for: the operator never imports it."""
    if name in __all__:
        return getattr(import_module("streamqueue.worker"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

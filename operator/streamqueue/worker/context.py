"""What a handler knows of its task besides the payload, and what it may say while it runs."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

from streamqueue.api.keys import tagged
from streamqueue.streams.settlement import Emit
from streamqueue.streams.taken import Taken
from streamqueue.worker.payload.encoding import encode
from streamqueue.worker.payload.trace_context import Fields, context_of

log = logging.getLogger("streamqueue.task")


class TaskLogger(logging.LoggerAdapter[logging.Logger]):
    """Puts the task's id in front of each message, and into `record.task_id`."""

    def __init__(self, task_id: str) -> None:
        super().__init__(log, {"task_id": task_id})
        self._prefix = "[" + "".join(each if each.isprintable() else ascii(each)[1:-1] for each in task_id) + "] "

    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        if self.isEnabledFor(level):
            prefix = self._prefix.replace("%", "%%") if args else self._prefix  # with them it is part of a pattern
            kwargs["extra"] = {**(self.extra or {}), **kwargs.get("extra", {})}
            kwargs["stacklevel"] = kwargs.get("stacklevel", 1) + 1  # the line of who called, not of this
            self.logger.log(level, f"{prefix}{msg}", *args, **kwargs)


class Context:
    """The handler's second argument. Times are unix seconds."""

    __slots__ = (
        "_logger",
        "_on_progress",
        "_trace",
        "attempt",
        "cancelled",
        "deadline",
        "emits",
        "entry",
        "progress_json",
    )

    def __init__(self, entry: Taken, deadline: float, on_progress: Callable[[], None]) -> None:
        self.entry = entry
        self.attempt = entry.attempts + 1
        self.deadline = deadline
        self.cancelled = False  # the lease is lost or the time is up: a handler in a thread should look and end
        self.progress_json = ""
        self._on_progress = on_progress
        self.emits: tuple[Emit, ...] | list[Emit] = ()
        self._trace: Fields | None = None
        self._logger: TaskLogger | None = None

    @property
    def id(self) -> str:
        """The task's id: the producer's, or the stream id of its first entry. It stays through retries."""
        return self._field(b"sq-id") or self.entry.id

    @property
    def origin_id(self) -> str:
        """The id of the task at the head of the pipeline; `id` where there is none."""
        return self._field(b"sq-origin") or self.id

    @property
    def enqueued_at(self) -> float:
        """Unix seconds at which the task was added, or due; 0.0 if the producer's ids are no times."""
        return self.entry.enqueued_ms / 1000

    @property
    def logger(self) -> TaskLogger:
        if self._logger is None:
            self._logger = TaskLogger(self.id)
        return self._logger

    @property
    def carried(self) -> list[tuple[str, str]]:
        """What travels from this task to those that it makes."""
        return [("sq-origin", self.origin_id), *self.trace]

    @property
    def trace(self) -> Fields:
        """The trace context, as the fields that carry it."""
        if self._trace is None:
            self._trace = context_of(self.entry.fields)
        return self._trace

    @trace.setter
    def trace(self, fields: Fields) -> None:
        self._trace = fields

    def progress(self, fraction: float, message: str = "") -> None:
        """Say how far the task is (0 to 1). Sent within a second, where results are kept."""
        if not 0 <= fraction <= 1:
            raise ValueError(f"progress({fraction}): a fraction from 0 to 1")
        self.progress_json = json.dumps({"fraction": fraction, "message": message})
        self._on_progress()

    def emit(self, stream: str, payload: Any) -> None:
        """Append `payload` to `stream` together with this task's acknowledgement: both or neither.

        On a Redis Cluster a stream of another slot gets it moments later, by way of the outbox. The origin's id
        travels along. Raises ValueError for a stream name that cannot be used, PayloadError.
        """
        tagged(stream)
        stream.encode()  # a UnicodeEncodeError is one
        emit = Emit(stream, [*encode(payload), *self.carried])
        if isinstance(self.emits, list):
            self.emits.append(emit)
        else:
            self.emits = [emit]

    def _field(self, name: bytes) -> str:
        return self.entry.fields.get(name, b"").decode("utf-8", "replace")

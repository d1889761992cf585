"""A task's state by id."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class State(StrEnum):
    """Where a task is. UNKNOWN: it never was, its state has expired, or the queue keeps no results."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    DEAD = "dead"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Result:
    """A look at a task. `value` is what the handler returned; `error` what its last failure said."""

    state: State
    value: Any = None
    error: str | None = None
    attempt: int | None = None
    progress: float | None = None  # 0 to 1
    message: str = ""  # of the progress
    worker: str | None = None  # the consumer that wrote this last
    at: float | None = None  # unix seconds of that, by Redis's clock

    @property
    def is_over(self) -> bool:
        return self.state in (State.DONE, State.DEAD)


def parse(fields: Mapping[bytes, bytes], was_sent: bool) -> Result:
    """The result behind the hash that the scripts keep. Pure."""
    if not fields:
        return Result(State.WAITING if was_sent else State.UNKNOWN)
    texts = {name.decode(): value.decode("utf-8", "replace") for name, value in fields.items()}
    state = State(texts["state"])
    progress = json.loads(texts["progress"]) if "progress" in texts else {}
    return Result(
        state,
        value=json.loads(texts["result"]) if texts.get("result") and state is State.DONE else None,
        error=texts.get("error") if state is not State.DONE else None,
        attempt=int(texts["attempt"]) if "attempt" in texts else None,
        progress=progress.get("fraction"),
        message=progress.get("message", ""),
        worker=texts.get("consumer"),
        at=int(texts["at"]) / 1000 if "at" in texts else None,
    )

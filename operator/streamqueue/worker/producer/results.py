"""A task's state by id."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from redis.asyncio import Redis

from streamqueue.api.keys import Keys
from streamqueue.streams.whereabouts import find


class State(StrEnum):
    """Where a task is.

    PENDING: a worker has it, and nothing more is known, as with plain loops. UNKNOWN: it never was, it is done and
    forgotten, or the queue keeps no results.
    """

    WAITING = "waiting"
    PENDING = "pending"
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
    started: float | None = None  # unix seconds at which its last run began
    at: float | None = None  # unix seconds of the last change, by Redis's clock

    @property
    def is_over(self) -> bool:
        return self.state in (State.DONE, State.DEAD)


async def look_up(client: Redis, keys: Keys, task_id: str) -> Result:
    """Raises RedisProblem."""
    found = await find(client, keys, task_id)
    kept = _kept(found.known) if found.known else None
    # What is over and yet to run was sent again under an id that is not remembered any more.
    if kept and not (kept.is_over and found.place):
        return kept
    return Result(_PLACES.get(found.place, State.UNKNOWN), worker=found.consumer if found.place == "pending" else None)


_PLACES = {
    "delayed": State.WAITING,
    "waiting": State.WAITING,
    "parked": State.WAITING,
    "pending": State.PENDING,
}


def _kept(fields: Mapping[bytes, bytes]) -> Result:
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
        started=int(texts["started"]) / 1000 if "started" in texts else None,
        at=int(texts["at"]) / 1000 if "at" in texts else None,
    )

"""What a handler returned, as tasks of the next stream. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from streamqueue.streams.settlement import Emit
from streamqueue.worker.errors import DeadLetter, PayloadError
from streamqueue.worker.payload.encoding import encode


def next_tasks(
    result: Any, stream: str, *, on_next_redis: bool, task_id: str, carried: Sequence[tuple[str, str]]
) -> tuple[Emit, ...]:
    """The tasks of `stream` that `result` makes: none of None, one of an object, one each of a list.

    One task keeps the id of the task it comes from; those of a list are `<id>/0`, `<id>/1` and so on. `carried`
    are fields that travel along. Raises DeadLetter for what cannot be a task: the handler would return it again.
    """
    if result is None:
        return ()
    if isinstance(result, (list, tuple)):
        return tuple(_task(each, stream, on_next_redis, f"{task_id}/{n}", carried) for n, each in enumerate(result))
    return (_task(result, stream, on_next_redis, task_id, carried),)


def _task(payload: Any, stream: str, on_next_redis: bool, task_id: str, carried: Sequence[tuple[str, str]]) -> Emit:
    try:
        fields = encode(payload)
    except PayloadError as exc:
        raise DeadLetter(f"what the handler returned cannot be a task of {stream}: {exc}") from None
    return Emit(stream, [("sq-id", task_id), *fields, *carried], on_next_redis)

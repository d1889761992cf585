"""What a batch handler returned, as what each of its tasks gets. Pure."""

from __future__ import annotations

from typing import Any

from streamqueue.worker.errors import WrongResults


def results_of(returned: Any, count: int) -> list[Any]:
    """One item for each of `count` tasks, in their order: its result, or the exception that is its failure alone.

    An exception class stands for an instance, as with `raise`. Raises WrongResults.
    """
    if returned is None:
        return [None] * count
    rule = "return None, or a list with one item per task"
    if not isinstance(returned, list):
        raise WrongResults(f"the handler returned {_kind(returned)} for a batch of {count}: {rule}")
    if len(returned) != count:
        raise WrongResults(f"the handler returned a list of {len(returned)} for a batch of {count}: {rule}")
    return [_instance(item) if isinstance(item, type) else item for item in returned]


def _kind(value: Any) -> str:
    return f"{type(value).__name__} ({value!r})" if isinstance(value, (bool, int, float)) else type(value).__name__


def _instance(item: type) -> Any:
    if not issubclass(item, BaseException):
        return item
    try:
        return item()
    except TypeError as exc:
        return exc

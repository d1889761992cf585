"""Status conditions, as `metav1.Condition` has them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MESSAGE_MAX_LENGTH = 32_768  # as in the CRD: a longer message would have the whole status refused

_ALWAYS_THERE = frozenset({"Accepted", "RedisReachable", "Ready", "ScalingActive"})  # the others are warnings


@dataclass(frozen=True, slots=True)
class Condition:
    """`status` None is `Unknown`. `reason` is one CamelCase word, `message` a sentence without secrets."""

    type: str
    status: bool | None
    reason: str
    message: str


def merge(
    previous: Sequence[Mapping[str, Any]], conditions: Iterable[Condition], now_rfc3339: str, generation: int
) -> list[dict[str, Any]]:
    """The status list that holds exactly `conditions`, sorted by type.

    `lastTransitionTime` is `now_rfc3339` where the status differs from `previous`, else what it was.
    """
    before = {old["type"]: old for old in previous}
    merged = []
    for condition in sorted(conditions, key=lambda each: each.type):
        status = {True: "True", False: "False", None: "Unknown"}[condition.status]
        old = before.get(condition.type, {})
        merged.append(
            {
                "type": condition.type,
                "status": status,
                "reason": condition.reason,
                "message": condition.message[:MESSAGE_MAX_LENGTH],
                "observedGeneration": generation,
                "lastTransitionTime": old["lastTransitionTime"] if old.get("status") == status else now_rfc3339,
            }
        )
    return merged


def transitions(previous: Sequence[Mapping[str, Any]], new: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The conditions of `new` whose status or reason is not that of `previous`: what an event is worth."""
    before = {old["type"]: (old["status"], old["reason"]) for old in previous}
    return [each for each in new if before.get(each["type"]) != (each["status"], each["reason"])]


def is_well(condition: Mapping[str, Any]) -> bool:
    """Good news that holds; warnings are there only while they hold, whichever status says so."""
    return bool(condition["type"] in _ALWAYS_THERE and condition["status"] == "True")

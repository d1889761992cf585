"""What is to be said of a server that may lose work, or soon take none. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from streamqueue.api.conditions import Condition
from streamqueue.streams.durability import Durability

NEARLY_FULL = 0.8  # of maxmemory
RELIEVED = 0.75  # the same: below it a server that was nearly full is so no more

_EVICTS = (
    "Redis evicts keys when its memory is full (maxmemory-policy {policy}): tasks, and the marks that keep them from "
    "running twice, can vanish; set maxmemory-policy to noeviction"
)
_FORGETS = (
    "Redis keeps nothing on disk and has no replica: a restart loses every task; set appendonly to yes, or add one"
)
_FULL = (
    "Redis uses about {share:.0%} of its maxmemory, and refuses tasks when it is full: give it memory, or let "
    "spec.retention trim"
)


def steady(before: Durability | None, now: Durability) -> Durability:
    """`now`, in which a server that was nearly full is so until it is clearly relieved."""
    was, uses = before.memory_used if before else None, now.memory_used
    if was is None or uses is None or was <= NEARLY_FULL or not RELIEVED < uses <= NEARLY_FULL:
        return now
    return replace(now, memory_used=was)


def risks(durability: Durability) -> Iterator[Condition]:
    """One condition, with the gravest reason; none where the server hides what it would take to know."""
    share = durability.memory_used
    if durability.evicts:
        message = _EVICTS.format(policy=durability.eviction_policy)
        yield Condition("RedisMayLoseWork", True, "EvictsKeys", message)
    elif durability.persistent is False:
        yield Condition("RedisMayLoseWork", True, "KeepsNothing", _FORGETS)
    elif share is not None and share > NEARLY_FULL:
        yield Condition("RedisMayLoseWork", True, "MemoryNearlyFull", _FULL.format(share=share))

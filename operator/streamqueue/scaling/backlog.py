"""targetBacklog: so many tasks per replica, waiting or in work."""

from __future__ import annotations

import math
from dataclasses import dataclass

from streamqueue.scaling.model import Observation
from streamqueue.scaling.recent import Peaks, peak, push

LEAD = 2.5  # seconds that marking a victim takes


@dataclass(frozen=True, slots=True)
class Wish:
    """What a law wants, in pods that work.

    `need` would do by the counters alone; `count` also holds what the law keeps for a while, and `soon` is what
    `count` will be in `LEAD` seconds if nothing changes.
    """

    count: int
    need: int
    soon: int
    why: str


def wish_by_backlog(
    target: int, delay: float, limit: int, peaks: Peaks | None, capacity: int, observation: Observation
) -> tuple[Wish, Peaks]:
    """ceil((waiting + pending) / target), no lower than the most needed in the last `delay` seconds.

    With no `peaks` (a new process) the pods that exist count as needed. `limit` (maxReplicas) bounds the memory.
    """
    waiting = max(observation.waiting, observation.waiting_likely or 0)
    need = math.ceil((waiting + observation.pending) / target)
    now = observation.now
    if peaks is None:
        peaks = push((), now, min(capacity, limit), delay)
    peaks = push(peaks, now, min(need, limit), delay)
    count = max(need, min(peak(peaks, now - delay), capacity))
    soon = max(need, min(peak(peaks, now - delay + LEAD), capacity))
    about = "about " if waiting > observation.waiting else ""
    why = f"{about}{waiting} waiting and {observation.pending} pending at {target} a replica"
    return Wish(count, need, soon, why), peaks

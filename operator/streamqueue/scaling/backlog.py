"""targetBacklog: so many tasks per replica, waiting or in work."""

from __future__ import annotations

import math

from streamqueue.scaling.model import Observation
from streamqueue.scaling.recent import Peaks, peak, push
from streamqueue.scaling.wish import LEAD, Wish


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

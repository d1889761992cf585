"""targetWait, first form: enough slots for what is in work and to start all that waits in time."""

from __future__ import annotations

import math

from streamqueue.scaling.backlog import Wish
from streamqueue.scaling.model import Observation
from streamqueue.scaling.recent import Peaks, push

ASSUMED_SERVICE = 10.0  # seconds a task
DELAY = 60.0  # seconds for which a lower count must hold


def wish_by_wait(
    target: float, concurrency: int, limit: int, peaks: Peaks | None, capacity: int, observation: Observation
) -> tuple[Wish, Peaks]:
    oldest = observation.oldest_waiting_age or 0.0
    left = max(target - oldest, target / 4)
    slots = observation.pending + observation.waiting * ASSUMED_SERVICE / (left + ASSUMED_SERVICE)
    need = math.ceil(slots / concurrency)
    now = observation.now
    if peaks is None:
        peaks = push((), now, min(capacity, limit), DELAY)
    peaks = push(peaks, now, min(need, limit), DELAY)
    why = f"{observation.waiting} waiting, oldest {oldest:.0f} s of {target:.0f} s"
    return Wish(max(need, min(peaks[0][1], capacity)), need, why), peaks

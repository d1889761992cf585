"""When the next look at a queue is due, and from when on a victim's mark may be relied on.

A victim that waits for the next poll costs pod-time, and may have taken a task by then. So the look after the marks
were written comes as soon as they have settled.
"""

from __future__ import annotations

from collections.abc import Collection

from streamqueue.scaling.model import Observation, Pod

SETTLE = 1.0  # seconds for which our own watch must have shown a mark
SHOWN = 0.1  # seconds that our watch takes to show a mark, nearly always


def is_settled(pod: Pod, now: float) -> bool:
    """Whether the count may fall by this pod."""
    return pod.marked_since is not None and now - pod.marked_since >= SETTLE


def settling(victims: Collection[str], observation: Observation) -> float | None:
    """Seconds until the first of the marks that don't count yet does; None where there is none.

    Marks that aren't shown yet are written after this look.
    """
    if not victims:
        return None
    now, names = observation.now, set(victims)
    waits = [
        SETTLE + (SHOWN if pod.marked_since is None else pod.marked_since - now)
        for pod in observation.pods
        if pod.name in names and not is_settled(pod, now)
    ]
    return min(waits, default=None)


def rest(interval: float, settles: float | None) -> float:
    """Seconds until the next look: `interval`, or when marks settle, if that is sooner.

    A poll that would come a moment before that waits for it, rather than be followed by one more.
    """
    return settles if settles is not None and settles <= interval + SHOWN else interval

"""What a simulated run came to, and how long it goes on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

LONGEST = 24 * 3600.0  # seconds that a task may take
TAIL = 4 * 3600.0  # seconds that a run goes on after the last arrival, where not all is done before


def tail(target: float, services: Sequence[float]) -> float:
    """The same where tasks may wait for `target` seconds by plan, and the last one takes as long as the longest."""
    return max(TAIL, 2 * target, min(max(services), LONGEST) + target + 3600)


@dataclass(slots=True)
class Outcome:
    """What a run came to. Times in seconds, one wait per task in order of arrival."""

    waits: list[float]
    pod_seconds: float
    started: int = 0
    killed: int = 0
    peak: int = 0
    timeline: list[tuple[float, int, int, int]] = field(default_factory=list)  # time, replicas, ready, waiting

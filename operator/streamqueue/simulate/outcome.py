"""What a simulated run came to, and how long it goes on."""

from __future__ import annotations

from dataclasses import dataclass, field

TAIL = 4 * 3600.0  # seconds that a run goes on after the last arrival, where not all is done before


def tail(target: float) -> float:
    """The same where tasks may wait for `target` seconds by plan."""
    return max(TAIL, 2 * target)


@dataclass(slots=True)
class Outcome:
    """What a run came to. Times in seconds, one wait per task in order of arrival."""

    waits: list[float]
    pod_seconds: float
    started: int = 0
    killed: int = 0
    peak: int = 0
    timeline: list[tuple[float, int, int, int]] = field(default_factory=list)  # time, replicas, ready, waiting

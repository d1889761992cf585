"""How long a task takes, from counters alone."""

from __future__ import annotations

from dataclasses import dataclass

PRIOR = 10.0  # seconds a task, before anything is known
PRIOR_WEIGHT = 3.0  # tasks' worth of belief in it
MEMORY = 300.0  # acknowledged tasks that are remembered


@dataclass(frozen=True, slots=True)
class ServiceTime:
    """Busy slot-seconds over tasks acknowledged, older evidence fading.

    Tasks still at work count as soon as they cost time, so longer tasks show before the first is done.
    """

    busy: float = PRIOR * PRIOR_WEIGHT
    tasks: float = PRIOR_WEIGHT

    @property
    def seconds(self) -> float:
        return self.busy / self.tasks

    def advance(self, busy_seconds: float, acknowledged: float) -> ServiceTime:
        busy, tasks = self.busy + busy_seconds, self.tasks + acknowledged
        if tasks > MEMORY:
            busy, tasks = busy * MEMORY / tasks, MEMORY
        return ServiceTime(busy, tasks)

"""How long a task takes, from counters alone."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

PRIOR = 10.0  # seconds a task, before anything is known
PRIOR_WEIGHT = 3.0  # tasks' worth of belief in it
MEMORY = 300.0  # acknowledged tasks that are remembered
RECENT = 20.0  # of these the latest, or as many as there are busy slots
MOST = 3.0  # times as long as all, at most: a handler that hangs for hours tells nothing of the others
LEAST = 1e-3  # seconds a task: what nobody is seen to work on takes no time, as where producers trim the stream
DOUBT = 2.0  # standard deviations in the number of the latest tasks


@dataclass(frozen=True, slots=True)
class Spent:
    """Busy slot-seconds, and the tasks acknowledged in them."""

    busy: float = PRIOR * PRIOR_WEIGHT
    tasks: float = PRIOR_WEIGHT

    def add(self, busy: float, tasks: float, memory: float) -> Spent:
        """Older evidence fades once there are more than `memory` tasks."""
        busy, tasks = self.busy + busy, self.tasks + tasks
        return Spent(busy * memory / tasks, memory) if tasks > memory else Spent(busy, tasks)


@dataclass(frozen=True, slots=True)
class ServiceTime:
    """Busy slot-seconds over tasks acknowledged, of many tasks and of the latest few.

    Tasks still at work count as soon as they cost time, so longer tasks show before the first is done.
    """

    long: Spent = field(default_factory=Spent)
    lately: Spent = field(default_factory=Spent)

    @property
    def is_known(self) -> bool:
        """Whether any task was seen to be done."""
        return self.long.tasks > PRIOR_WEIGHT

    @property
    def seconds(self) -> float:
        """Seconds a task takes."""
        return max(self.long.busy / self.long.tasks, LEAST)

    @property
    def cautious(self) -> float:
        """More than `seconds` where that can't be chance: long tasks hold the slots, or all have become longer."""
        lately = self.lately
        seconds = lately.busy / (lately.tasks + DOUBT * math.sqrt(lately.tasks))
        return min(max(self.seconds, seconds), MOST * self.seconds)

    def advance(self, gap: float, slots: float, acknowledged: float) -> ServiceTime:
        """`slots` were busy for `gap` seconds, and so many tasks were acknowledged meanwhile."""
        busy = gap * slots
        return ServiceTime(
            self.long.add(busy, acknowledged, MEMORY), self.lately.add(busy, acknowledged, max(RECENT, slots))
        )

"""What `decide` remembers of a queue from one observation to the next."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from streamqueue.scaling.coldstart import ColdStart
from streamqueue.scaling.deadline.learn import Learnt
from streamqueue.scaling.drain import Marks, note_marks
from streamqueue.scaling.fleet import Fleet
from streamqueue.scaling.model import Observation
from streamqueue.scaling.recent import Peaks

PATIENCE_COLD_STARTS = 3.0
LEAST_PATIENCE = 120.0  # seconds


@dataclass(frozen=True, slots=True)
class Memory:
    """A value: `decide` returns a new one and changes none. Times are on the observations' clock."""

    since: float  # first observation of this process
    last: float  # latest observation
    marks: Marks = field(default_factory=Marks)
    cold: ColdStart = field(default_factory=ColdStart)
    peaks: Peaks | None = None  # targetBacklog: recent needs
    learnt: Learnt | None = None  # targetWait


def remember(memory: Memory | None, fleet: Fleet, observation: Observation) -> Memory:
    """Carry the memory over to this observation; a clock that ran backwards starts a new one."""
    now = observation.now
    if memory is None or now < memory.last:
        memory = Memory(since=now, last=-math.inf)
    cold = memory.cold.learn(fleet, first=memory.last == -math.inf)
    return Memory(memory.since, now, note_marks(memory.marks, fleet, observation), cold, memory.peaks, memory.learnt)


def patience(memory: Memory | None) -> float:
    """Seconds until a starting pod counts as failing, so that one bad pod doesn't hold up the rest."""
    return max(PATIENCE_COLD_STARTS * memory.cold.mean, LEAST_PATIENCE) if memory is not None else LEAST_PATIENCE

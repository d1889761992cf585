"""What `decide` remembers of a queue from one observation to the next."""

from __future__ import annotations

from dataclasses import dataclass, field

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
    peaks: Peaks | None = None  # targetBacklog: recent needs
    learnt: Learnt | None = None  # targetWait


def remember(memory: Memory | None, fleet: Fleet, observation: Observation) -> Memory:
    """Carry the memory over to this observation; a clock that ran backwards starts a new one."""
    now = observation.now
    if memory is None or now < memory.last:
        memory = Memory(since=now, last=now)
    return Memory(memory.since, now, note_marks(memory.marks, fleet, observation), memory.peaks, memory.learnt)


def patience(memory: Memory | None) -> float:
    """Seconds until a starting pod counts as failing, so that one bad pod doesn't hold up the rest."""
    cold = memory.learnt.cold.mean if memory is not None and memory.learnt is not None else 0.0
    return max(PATIENCE_COLD_STARTS * cold, LEAST_PATIENCE)

"""What `decide` remembers of a queue from one observation to the next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from streamqueue.scaling.drain import note_marks
from streamqueue.scaling.model import Observation
from streamqueue.scaling.recent import Peaks


@dataclass(frozen=True, slots=True)
class Memory:
    """A value: `decide` returns a new one and changes none. Times are on the observations' clock."""

    since: float  # first observation of this process
    last: float  # latest observation
    marks: Mapping[str, float] = field(default_factory=dict)  # pod -> when its mark was first seen
    missing_since: float | None = None  # since when the Deployment asks for pods that don't exist
    peaks: Peaks | None = None  # recent needs


def remember(memory: Memory | None, observation: Observation, missing: int) -> Memory:
    """Carry the memory over to this observation; a clock that ran backwards starts a new one."""
    now = observation.now
    if memory is None or now < memory.last:
        memory = Memory(since=now, last=now)
    missing_since = None
    if missing:
        missing_since = now if memory.missing_since is None else memory.missing_since
    return replace(memory, last=now, marks=note_marks(memory.marks, observation), missing_since=missing_since)

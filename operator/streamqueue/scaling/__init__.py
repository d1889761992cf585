"""How many workers run, and which may go: Observation -> Decision. Pure: no clock, no I/O."""

from streamqueue.scaling.decide import decide
from streamqueue.scaling.foresight import lead
from streamqueue.scaling.looks import rest, settling
from streamqueue.scaling.memory import Memory
from streamqueue.scaling.model import Decision, Observation, Pod, PodState, Reason

__all__ = ["Decision", "Memory", "Observation", "Pod", "PodState", "Reason", "decide", "lead", "rest", "settling"]

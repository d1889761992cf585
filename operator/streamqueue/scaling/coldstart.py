"""How long a pod takes from creation until it is ready, and how long the starting ones still need."""

from __future__ import annotations

from dataclasses import dataclass

from streamqueue.scaling.fleet import Fleet
from streamqueue.scaling.model import Pod

PRIOR = 10.0  # seconds, until the first pod of this queue was ready
REMEMBERED = 24
LOOKS = 3.0  # that a start takes until it shows, at most
LINDY = 0.3  # a pod that outlasts all we have seen needs this share of its age again
LEAST = 0.1  # seconds: in the cluster's whole seconds, by clocks that differ, a quick start may look like none
BELIEVED = 600.0  # seconds: what a new process takes for a start; pods that it finds may have been ready before


@dataclass(frozen=True, slots=True)
class ColdStart:
    """The latest cold starts, in seconds. Each pod has one: it may be unready later, and ready again."""

    samples: tuple[float, ...] = ()
    served: tuple[str, ...] = ()  # the pods there are that have been ready

    @property
    def mean(self) -> float:
        return sum(self.samples) / len(self.samples) if self.samples else PRIOR

    @property
    def slow(self) -> float:
        """Nine in ten were ready sooner."""
        return sorted(self.samples)[int(0.9 * len(self.samples))] if self.samples else PRIOR

    def learn(self, fleet: Fleet, *, first: bool) -> ColdStart:
        """Add the pods that are ready for the first time; `first`: nothing is known of any."""
        ready = tuple([pod.name for pod in fleet.ready])
        if ready == self.served and not first:
            return ColdStart(self.samples, ready)  # not the names of an earlier look, which nobody else keeps
        before = frozenset([pod.name for pod in fleet.failing] if first else self.served)
        away = [pod.name for pod in (*fleet.starting, *fleet.unschedulable, *fleet.failing) if pod.name in before]
        new = [pod for pod in fleet.ready if pod.name not in before and _may_be_new(pod, first)]
        new.sort(key=lambda pod: pod.ready_at or 0.0)
        samples = (*self.samples, *map(_took, new))[-REMEMBERED:]
        return ColdStart(samples, (*ready, *away))

    def remaining(self, age: float) -> float:
        """Expected seconds until a pod of this age is ready; by a clock that is behind it has a negative one."""
        age = max(0.0, age)
        longer = [sample - age for sample in self.samples or (PRIOR,) if sample > age]
        return sum(longer) / len(longer) if longer else LINDY * age


def _took(pod: Pod) -> float:
    return max(LEAST, (pod.ready_at or 0.0) - pod.created)


def _may_be_new(pod: Pod, first: bool) -> bool:
    return pod.ready_at is not None and not (first and (pod.restarted or _took(pod) > BELIEVED))

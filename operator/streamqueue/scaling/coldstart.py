"""How long a pod takes from creation until it is ready, and how long the starting ones still need."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from streamqueue.scaling.model import Pod

PRIOR = 10.0  # seconds, until the first pod of this queue was ready
REMEMBERED = 24
LOOKS = 3.0  # that a start takes until it shows, at most
LINDY = 0.3  # a pod that outlasts all we have seen needs this share of its age again


@dataclass(frozen=True, slots=True)
class ColdStart:
    """The latest cold starts, in seconds."""

    samples: tuple[float, ...] = ()

    @property
    def mean(self) -> float:
        return sum(self.samples) / len(self.samples) if self.samples else PRIOR

    @property
    def slow(self) -> float:
        """Nine in ten were ready sooner."""
        return sorted(self.samples)[int(0.9 * len(self.samples))] if self.samples else PRIOR

    def learn(self, pods: Iterable[Pod], since: float) -> ColdStart:
        """Add the pods that became ready after `since`."""
        new = [pod for pod in pods if pod.ready_at is not None and pod.ready_at > since]
        if not new:
            return self
        new.sort(key=lambda pod: pod.ready_at or 0.0)
        took = [max(0.0, (pod.ready_at or 0.0) - pod.created) for pod in new]
        return ColdStart((*self.samples, *took)[-REMEMBERED:])

    def remaining(self, age: float) -> float:
        """Expected seconds until a pod of this age is ready."""
        longer = [sample - age for sample in self.samples or (PRIOR,) if sample > age]
        return sum(longer) / len(longer) if longer else LINDY * age

"""Scaling laws for the simulation: the shipped `decide`, and the peers' KEDA with an HPA."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from streamqueue.api.spec import Scaling
from streamqueue.scaling import Memory, decide, rest, settling
from streamqueue.simulate.fleet import Fleet


class StreamQueueLaw:
    """`decide` as it is shipped, once per polling interval and where victims' marks settle."""

    def __init__(self, spec: Scaling) -> None:
        self.spec = spec
        self.memory: Memory | None = None
        self._rest = spec.polling_interval
        self._empty_until = 0.0

    def next_look(self, now: float) -> float:
        return _not_before(self._empty_until, max(0.0, now + self._rest), self.spec.polling_interval)

    def decide(self, fleet: Fleet) -> int:
        observation = fleet.observe()
        decision, self.memory = decide(self.spec, self.memory, observation)
        fleet.pods.mark(decision.victims)
        fleet.pods.cordon(decision.cordoned)
        self._rest = rest(self.spec.polling_interval, settling(decision.victims, observation))
        self._empty_until = 0.0 if decision.replicas else fleet.empty_until
        return decision.replicas


def _not_before(time: float, look: float, period: float) -> float:
    """The first of the looks `period` seconds apart that isn't before `time`: those at nothing change nothing."""
    return look + max(0, math.ceil((time - look) / period)) * period


class Metric(StrEnum):
    """What a ScaledObject may scale by."""

    LAG = "lag"
    PENDING = "pending"
    DUAL = "dual"  # two triggers, lag and pending at 1; the HPA takes the greater
    SUM = "sum"  # a scalingModifiers formula: pending + lag / target, at 1


@dataclass(frozen=True, slots=True)
class KedaConfig:
    """A ScaledObject's values; the defaults are KEDA's and the HPA's own.

    The pending trigger, KEDA's default for redis-streams, never leaves zero: nothing is pending without a
    consumer. So the default here is the lag trigger.
    """

    target: float = 5.0
    metric: Metric = Metric.LAG
    poll: float = 30.0
    cooldown: float = 300.0
    stabilization: float = 300.0
    min_replicas: int = 0
    max_replicas: int = 100


class Counted(Protocol):
    """What KEDA and the HPA read of a queue and its Deployment."""

    @property
    def now(self) -> float: ...
    @property
    def replicas(self) -> int: ...
    @property
    def waiting(self) -> int: ...
    @property
    def pending(self) -> int: ...
    @property
    def empty_until(self) -> float: ...


class KedaLaw:
    """KEDA 2.20 between zero and one every 30 s, the HPA above every 15 s."""

    HPA_PERIOD = 15.0

    def __init__(self, config: KedaConfig) -> None:
        self.config = config
        self._keda_at, self._hpa_at = 0.0, 7.0
        self._active_at = -math.inf
        self._recommended: deque[tuple[float, int]] = deque()

    def next_look(self, now: float) -> float:
        return min(self._keda_at, self._hpa_at)

    def decide(self, fleet: Counted) -> int:
        now, want = fleet.now, fleet.replicas
        triggers = self._triggers(fleet)
        if now >= self._keda_at:
            self._keda_at = now + self.config.poll
            want = self._activate(now, want, any(value > 0 for value, _ in triggers))
        if now >= self._hpa_at:
            self._hpa_at = now + self.HPA_PERIOD
            if fleet.replicas > 0 and want > 0:
                want = self._autoscale(now, fleet.replicas, triggers)
        if not want:
            self._keda_at = _not_before(fleet.empty_until, self._keda_at, self.config.poll)
            self._hpa_at = _not_before(fleet.empty_until, self._hpa_at, self.HPA_PERIOD)
        return want

    def _triggers(self, fleet: Counted) -> list[tuple[float, float]]:
        """Each trigger's value and its target per replica."""
        target = self.config.target
        match self.config.metric:
            case Metric.LAG:
                return [(fleet.waiting, target)]
            case Metric.PENDING:
                return [(fleet.pending, target)]
            case Metric.DUAL:
                return [(fleet.waiting, target), (fleet.pending, 1.0)]
            case Metric.SUM:
                return [(fleet.pending + fleet.waiting / target, 1.0)]

    def _activate(self, now: float, have: int, active: bool) -> int:
        if active:
            self._active_at = now
            return have or max(1, self.config.min_replicas)
        if not self.config.min_replicas and now - self._active_at >= self.config.cooldown:
            self._recommended.clear()
            return 0
        return max(have, self.config.min_replicas)

    def _autoscale(self, now: float, have: int, triggers: list[tuple[float, float]]) -> int:
        want = 0
        for value, target in triggers:
            ratio = value / (target * have)
            want = max(want, have if abs(1 - ratio) <= 0.1 else math.ceil(value / target))
        want = min(max(want, 1, self.config.min_replicas), self.config.max_replicas)
        self._recommended.append((now, want))
        while self._recommended[0][0] < now - self.config.stabilization:
            self._recommended.popleft()
        if want < have:
            return min(have, max(count for _, count in self._recommended))
        return min(want, max(have * 2, have + 4))

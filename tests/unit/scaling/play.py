"""Worlds for the law: a simulated fleet whose observations can be bent on their way to `decide`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from streamqueue.api.spec import Scaling
from streamqueue.scaling import Decision, Memory, Observation, decide, rest, settling
from streamqueue.simulate.cluster import Cluster, ColdStart
from streamqueue.simulate.figures import percentile
from streamqueue.simulate.fleet import Fleet
from streamqueue.simulate.outcome import Outcome

Bend = Callable[[Observation], Observation]


@dataclass
class BentLaw:
    """The shipped `decide`, which sees what `bend` makes of the truth and forgets at `restarts`."""

    spec: Scaling
    bend: Bend = lambda seen: seen
    restarts: tuple[float, ...] = ()
    memory: Memory | None = None
    log: list[tuple[Observation, Decision]] = field(default_factory=list)
    settles: float | None = None

    def next_look(self, now: float) -> float:
        return max(0.0, now + rest(self.spec.polling_interval, self.settles))

    def decide(self, fleet: Fleet) -> int:
        if any(now - 1 < fleet.now <= now for now in self.restarts):
            self.memory = None
        observation = self.bend(fleet.observe())
        decision, self.memory = decide(self.spec, self.memory, observation)
        fleet.pods.mark(decision.victims)
        fleet.pods.cordon(decision.cordoned)
        self.settles = settling(decision.victims, observation)
        self.log.append((observation, decision))
        return decision.replicas


def play(arrivals: list[float], services: list[float], law: BentLaw, cluster: Cluster | None = None) -> Outcome:
    return Fleet(arrivals, services, cluster or Cluster(ColdStart(10.0)), law).run()


def p95(outcome: Outcome) -> float:
    return percentile(sorted(outcome.waits), 0.95)


def over_work(outcome: Outcome, services: list[float]) -> float:
    return outcome.pod_seconds / sum(services)

"""From zero: tasks that come in a trickle gather for one start, a lone task starts a pod at once."""

from __future__ import annotations

from dataclasses import replace

from streamqueue.api.spec import Scaling, TargetWait
from streamqueue.scaling import Observation, Reason
from streamqueue.simulate.cluster import Cluster, ColdStart

from .play import BentLaw, p95, play
from .test_deadline import exponential, poisson

SPEC = Scaling(max_replicas=20, target=TargetWait(30.0), concurrency=4)
CLUSTER = Cluster(ColdStart(5.0), concurrency=4)


def test_a_trickle_gathers_and_is_in_time() -> None:
    arrivals = poisson(0.2, 7200)
    law = BentLaw(SPEC)
    outcome = play(arrivals, exponential(len(arrivals), 8.0), law, CLUSTER)
    assert p95(outcome) <= 30
    assert outcome.pod_seconds < 0.8 * arrivals[-1]
    assert any(decision.reason is Reason.GATHERING for _, decision in law.log)


def test_gathering_reckons_with_slow_pods() -> None:
    arrivals = poisson(0.2, 7200)
    spec = replace(SPEC, target=TargetWait(60.0))
    law = BentLaw(spec)
    outcome = play(arrivals, exponential(len(arrivals), 8.0), law, Cluster(ColdStart(15.0, 0.5), concurrency=4))
    assert p95(outcome) <= 60
    assert any(decision.reason is Reason.GATHERING for _, decision in law.log)


def test_after_a_silence_one_task_starts_a_pod_at_once() -> None:
    arrivals = [*poisson(0.2, 1200), 1800.0]
    law = BentLaw(SPEC)
    play(arrivals, [8.0] * len(arrivals), law, CLUSTER)
    woken = next(decision for seen, decision in law.log if seen.now >= 1800 and seen.waiting)
    assert woken.replicas == 1


def test_nothing_gathers_where_nobody_knows_how_long_it_waits() -> None:
    def ageless(seen: Observation) -> Observation:
        return replace(seen, oldest_waiting_age=None)

    arrivals = poisson(0.2, 3600)
    law = BentLaw(SPEC, bend=ageless)
    play(arrivals, exponential(len(arrivals), 8.0), law, CLUSTER)
    assert all(decision.replicas for seen, decision in law.log if seen.waiting)


def test_one_start_serves_all_that_one_pod_still_starts_in_time() -> None:
    arrivals = poisson(0.3, 7200)
    law = BentLaw(SPEC)
    outcome = play(arrivals, exponential(len(arrivals), 8.0), law, CLUSTER)
    gathered = [seen.waiting for seen, decision in law.log if seen.now > 300 and decision.replicas > seen.replicas == 0]
    assert p95(outcome) <= 30
    assert sum(gathered) / len(gathered) > 5.5

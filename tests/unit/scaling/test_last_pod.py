"""The last pod is marked at work: a ReplicaSet has no choice there, and the pod goes when it is next seen idle."""

from __future__ import annotations

from streamqueue.api.spec import Scaling, TargetWait
from streamqueue.scaling import Observation
from streamqueue.scaling.drain import Drain, Marks, plan_drain
from streamqueue.scaling.fleet import take_stock
from streamqueue.simulate.cluster import Cluster, ColdStart

from .build import look, pods
from .play import BentLaw, play

NOW = 100.0


def plan(seen: Observation, target: int, soon: int) -> Drain:
    return plan_drain(take_stock(seen, patience=120.0), Marks(), target, soon, seen, 0)


def test_it_is_marked_at_work_and_does_not_go_then() -> None:
    assert plan(look(NOW, pods=pods(1)), target=1, soon=0) == Drain(("p0",), 0)
    assert plan(look(NOW, pods=pods(1, marked_since=NOW - 9)), target=0, soon=0) == Drain(("p0",), 0)


def test_it_goes_at_the_first_look_that_finds_it_idle() -> None:
    assert plan(look(NOW, pods=pods(0, marked_since=NOW - 9)), target=0, soon=0) == Drain(("p0",), 1)
    assert plan(look(NOW, pods=pods(0, marked_since=NOW - 0.9)), target=0, soon=0) == Drain(("p0",), 0)


def test_of_two_at_work_none_is_marked() -> None:
    assert plan(look(NOW, pods=pods(1, 2)), target=2, soon=0) == Drain((), 0)


def test_a_pod_that_goes_as_soon_as_it_is_done_is_marked_before() -> None:
    """Bursts that one pod serves: it goes at the first look after its last task, and is not marked while tasks wait."""
    arrivals = [*(at + 0.1 * n for at in range(5, 2400, 120) for n in range(4)), 4000.0]
    law = BentLaw(Scaling(max_replicas=5, target=TargetWait(60.0)))
    play(arrivals, [3.0] * len(arrivals), law, Cluster(ColdStart(5.0)))
    later = [seen for seen, _ in law.log if 1200 < seen.now < 3900]
    assert not any(pod.marked for seen in later if seen.waiting for pod in seen.pods)
    idle = [seen for seen in later if seen.pods and not seen.pending and seen.pods[0].ready_at]
    assert len(idle) == 10  # one look for each burst


def test_a_pod_that_the_minimum_keeps_is_never_marked() -> None:
    arrivals = [at + 0.1 * n for at in range(5, 1200, 120) for n in range(4)]
    law = BentLaw(Scaling(min_replicas=1, max_replicas=1, target=TargetWait(60.0)))
    play(arrivals, [3.0] * len(arrivals), law, Cluster(ColdStart(5.0)))
    assert not any(decision.victims for _, decision in law.log)

"""Which busy pods take no more tasks: a pod of many slots may never be idle by itself."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest

from streamqueue.api.spec import ScaleDown, Scaling, TargetBacklog, TargetWait
from streamqueue.scaling import Decision, Memory, Observation, PodState, Reason, decide
from streamqueue.scaling.decide import LEARNING
from streamqueue.simulate.cluster import Cluster, ColdStart
from streamqueue.simulate.figures import percentile
from tests.unit.scaling.build import look, pods, ready
from tests.unit.scaling.play import BentLaw, play

SLOTS = 20
SPEC = Scaling(
    max_replicas=10, target=TargetBacklog(SLOTS), concurrency=SLOTS, cordons=True, scale_down=ScaleDown(0.0, None)
)
NOW = 2 * LEARNING


def answer(observation: Observation, **more: Any) -> Decision:
    """Of an operator that has looked at idle pods for a while."""
    memory = Memory(since=0.0, last=NOW - 1)
    return decide(replace(SPEC, **more), memory, observation)[0]


def test_the_least_busy_of_too_many_take_no_more() -> None:
    decision = answer(look(NOW, pods=pods(9, 2, 5)))
    assert sorted(decision.cordoned) == ["p1", "p2"]
    assert (decision.replicas, decision.reason) == (3, Reason.DRAINING)
    assert decision.sentence == (
        "3: 1 would do, but every pod is busy; 2 told to take no more tasks; 0 waiting and 16 pending at 20 a replica"
    )


def test_of_those_as_busy_the_newest_takes_no_more() -> None:
    fleet = tuple(ready(f"p{i}", 5, created=created) for i, created in enumerate((1.0, 9.0, 5.0)))
    assert answer(look(NOW, pods=fleet), target=TargetBacklog(8)).cordoned == ("p1",)


def test_it_stays_with_those_that_were_told() -> None:
    told = (ready("p0", 9, cordoned=True), ready("p1", 2), ready("p2", 5))
    assert answer(look(NOW, pods=told), target=TargetBacklog(8)).cordoned == ("p0",)


def test_more_work_takes_all_back() -> None:
    told = tuple(ready(f"p{i}", 3, cordoned=True) for i in range(3))
    assert answer(look(NOW, pods=told, waiting=90)).cordoned == ()


def test_idle_pods_go_by_their_marks_first() -> None:
    decision = answer(look(NOW, pods=pods(0, 5, 6)))
    assert (decision.victims, decision.cordoned) == (("p0",), ("p1",))


def test_one_that_was_told_and_is_idle_by_now_is_the_victim_and_stays_told() -> None:
    fleet = (ready("p0", 0), ready("p1", 0, cordoned=True), ready("p2", 5))
    decision = answer(look(NOW, pods=fleet, waiting=30))
    assert (decision.victims, decision.cordoned) == (("p1",), ("p1",))


def test_a_victim_is_one_of_those_that_go() -> None:
    """Beside one that was told, and is busy still, nobody would be left to take a task."""
    fleet = (ready("p0", 0, marked=True, marked_since=NOW - 2), ready("p1", 5, cordoned=True))
    decision = answer(look(NOW, pods=fleet))
    assert (decision.replicas, decision.victims, decision.cordoned) == (1, ("p0",), ())


@pytest.mark.parametrize(
    ("bent", "more"),
    [
        ({"known": False}, {}),
        ({"rollout": True}, {}),
        ({}, {"paused": True}),
        ({"pending": 40}, {"min_replicas": 3}),
        ({"pods": (*pods(9, 2), ready("p2", None))}, {}),  # names that don't tell the pods apart
    ],
)
def test_no_pod_is_told_where_none_may_go(bent: dict[str, Any], more: dict[str, Any]) -> None:
    assert answer(look(NOW, **{"pods": pods(9, 2, 5), **bent}), **more).cordoned == ()


@pytest.mark.parametrize(("slots", "told"), [(1, 0), (3, 0), (4, 2)])
def test_pods_of_few_slots_are_idle_often_enough(slots: int, told: int) -> None:
    assert len(answer(look(NOW, pods=pods(1, 1, 1)), concurrency=slots).cordoned) == told


def test_plain_loops_know_nothing_of_it() -> None:
    decision = answer(look(NOW, pods=pods(9, 2, 5)), cordons=False)
    assert (decision.cordoned, decision.reason) == ((), Reason.DRAINING)
    assert "no more tasks" not in decision.sentence


def test_a_new_process_tells_nobody() -> None:
    assert decide(SPEC, None, look(NOW, pods=pods(9, 2, 5)))[0].cordoned == ()


def test_no_more_at_a_time_than_max_step() -> None:
    decision = answer(look(NOW, pods=pods(9, 2, 5, 1)), scale_down=ScaleDown(0.0, 1))
    assert decision.cordoned == ("p3",)


def test_a_pin_below_frees_pods_too() -> None:
    decision = answer(look(NOW, pods=pods(9, 2, 5)), replicas=2)
    assert decision.cordoned == ("p1",)
    assert decision.sentence == "3: pinned at 2; every pod is busy; 1 told to take no more tasks"


@pytest.mark.parametrize(("cordons", "told"), [(True, 3), (False, 0)])
def test_a_pin_frees_pods_of_one_slot_too(cordons: bool, told: int) -> None:
    """While tasks wait none of them is ever idle, and who pins at zero wants them to stop."""
    seen = look(NOW, pods=pods(1, 1, 1), waiting=500)
    decision = answer(seen, replicas=0, concurrency=1, cordons=cordons)
    assert (decision.replicas, len(decision.cordoned)) == (3, told)
    assert decision.sentence.startswith("3: pinned at 0; every pod is busy")


def test_as_many_ready_ones_as_are_wanted_take_on() -> None:
    """An unready one may work, and may not."""
    fleet = (*pods(9, 9, 9), replace(ready("p3", 5), state=PodState.FAILING))
    assert len(answer(look(NOW, pods=fleet)).cordoned) == 1


@pytest.mark.parametrize("slots", [20, 50])
def test_a_fleet_of_many_slots_shrinks_with_its_load(slots: int) -> None:
    """Of ten pods a third of the load leaves four, and nobody waits for it."""
    dice = random.Random(5)
    arrivals, service, at = [], 8.0, 0.0
    while at < 2400:
        at += dice.expovariate((8 if at < 900 else 8 / 3) * slots / service)
        arrivals.append(at)
    services = [dice.uniform(0.2, 1.8) * service for _ in arrivals]
    law = BentLaw(Scaling(max_replicas=100, target=TargetWait(30.0), concurrency=slots, cordons=True))
    outcome = play(arrivals, services, law, Cluster(ColdStart(5.0), slots))
    full = [seen.replicas for seen, _ in law.log if 600 < seen.now < 900]
    later = [seen.replicas for seen, _ in law.log if 1500 < seen.now < 2400]
    assert max(later) <= min(full) / 2
    assert percentile(sorted(outcome.waits), 0.95) <= 30.0
    assert outcome.killed == 0

"""What a law wishes, within what the spec and the cluster allow; and why the count is what it is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from streamqueue.api.spec import ScaleUp, Scaling
from streamqueue.scaling import Pod, PodState, Reason
from streamqueue.scaling.bounds import Bounded, bound
from streamqueue.scaling.fleet import take_stock
from streamqueue.scaling.wish import Wish

from .build import look, pods

SPEC = Scaling(max_replicas=10)
THREE = pods(1, 1, 1)


def others(state: PodState, count: int) -> tuple[Pod, ...]:
    return tuple(Pod(f"{state}{n}", state, 0.0, pending=0) for n in range(count))


NOWHERE, FAILING = others(PodState.UNSCHEDULABLE, 2), others(PodState.FAILING, 2)


def bounded(fleet: tuple[Pod, ...], count: int, need: int, soon: int, spec: Scaling = SPEC, **seen: Any) -> Bounded:
    observation = look(0.0, pods=fleet, **seen)
    return bound(spec, take_stock(observation, patience=120.0), Wish(count, need, soon, "why"), observation)


@pytest.mark.parametrize(
    ("fleet", "wish", "spec", "target", "reason"),
    [
        (THREE, (6, 6, 6), SPEC, 6, Reason.SCALING_UP),
        (THREE, (20, 20, 20), SPEC, 10, Reason.SCALING_UP),
        (THREE, (0, 0, 0), replace(SPEC, min_replicas=5), 5, Reason.SCALING_UP),
        (THREE, (9, 9, 9), replace(SPEC, scale_up=ScaleUp(2)), 5, Reason.SCALING_UP),
        (THREE, (4, 4, 4), replace(SPEC, scale_up=ScaleUp(2)), 4, Reason.SCALING_UP),
        (pods(*[1] * 10), (11, 11, 11), SPEC, 10, Reason.AT_MAX),
        (pods(*[1] * 10), (10, 10, 10), SPEC, 10, Reason.STEADY),
        (pods(*[1] * 10), (5, 5, 5), replace(SPEC, max_replicas=4), 4, Reason.AT_MAX),
        # Those that go still count against the maximum.
        ((*THREE, *others(PodState.TERMINATING, 1)), (9, 9, 9), replace(SPEC, max_replicas=5), 4, Reason.SCALING_UP),
        ((*THREE, *others(PodState.TERMINATING, 4)), (9, 9, 9), replace(SPEC, max_replicas=5), 3, Reason.AT_MAX),
    ],
)
def test_up(fleet: tuple[Pod, ...], wish: tuple[int, int, int], spec: Scaling, target: int, reason: Reason) -> None:
    found = bounded(fleet, *wish, spec)
    assert (found.target, found.reason) == (target, reason)
    blocked = (target, reason) == (3, Reason.AT_MAX)
    assert found.why == ("why; 4 pods still terminating count against maxReplicas 5" if blocked else "why")


@pytest.mark.parametrize(
    ("fleet", "wish", "least", "waiting", "reason"),
    [
        ((), (0, 0, 0), 0, 0, Reason.IDLE),
        ((), (0, 0, 0), 0, 4, Reason.GATHERING),
        (THREE, (3, 3, 3), 0, 4, Reason.STEADY),
        (THREE, (3, 3, 3), 2, 4, Reason.STEADY),
        (THREE, (3, 3, 3), 3, 4, Reason.AT_MIN),
        (THREE, (3, 1, 3), 3, 0, Reason.AT_MIN),
        (THREE, (3, 1, 3), 2, 0, Reason.COOLING_DOWN),
        ((*pods(1, 1), *NOWHERE), (3, 3, 3), 0, 4, Reason.UNSCHEDULABLE),
        ((*pods(1, 1), *NOWHERE), (2, 2, 2), 2, 4, Reason.STEADY),
        ((*pods(1, 1), *FAILING), (3, 3, 3), 0, 4, Reason.STEADY),
    ],
)
def test_why_the_count_stays(
    fleet: tuple[Pod, ...], wish: tuple[int, int, int], least: int, waiting: int, reason: Reason
) -> None:
    found = bounded(fleet, *wish, replace(SPEC, min_replicas=least), waiting=waiting)
    assert (found.target, found.reason) == (len(fleet), reason)


@pytest.mark.parametrize(("waiting", "pending", "target"), [(1, 0, 1), (0, 1, 1), (0, 0, 0)])
def test_never_to_zero_with_work_in_hand(waiting: int, pending: int, target: int) -> None:
    found = bounded(pods(0, 0), 0, 0, 0, waiting=waiting, pending=pending)
    assert (found.target, found.soon) == (target, 0)
    assert bounded(pods(0, 0), 0, 0, 0, replace(SPEC, min_replicas=1), waiting=waiting, pending=pending).target == 1


@pytest.mark.parametrize(
    ("fleet", "wish", "target"),
    [
        # Two work: more isn't asked for twice, and the stuck ones stay while they would be needed.
        ((*pods(1, 1), *NOWHERE), (3, 3, 3), 4),
        ((*pods(1, 1), *NOWHERE), (6, 6, 6), 6),
        ((*pods(1, 1), *NOWHERE), (2, 2, 2), 4),
        ((*pods(1, 1), *NOWHERE), (2, 1, 2), 2),
        ((*pods(1, 1), *NOWHERE), (1, 1, 1), 1),
        (NOWHERE, (1, 0, 1), 2),
        (NOWHERE, (0, 0, 0), 0),
        # A ReplicaSet may take a pod that starts, and is wanted, for one that fails.
        ((*pods(1), *others(PodState.STARTING, 2), *FAILING), (2, 1, 2), 4),
        ((*pods(1), *others(PodState.STARTING, 2), *FAILING), (1, 1, 1), 1),
    ],
)
def test_pods_that_are_stuck_go_once_the_others_are_more_than_enough(
    fleet: tuple[Pod, ...], wish: tuple[int, int, int], target: int
) -> None:
    assert bounded(fleet, *wish, pending=0).target == target


@pytest.mark.parametrize(
    ("wish", "least", "soon"),
    [((3, 1, 0), 0, 0), ((3, 1, 0), 2, 2), ((3, 1, 2), 0, 2), ((2, 1, 3), 0, 2), ((3, 3, 3), 0, 3)],
)
def test_what_is_wanted_in_a_moment_is_no_more_than_now(wish: tuple[int, int, int], least: int, soon: int) -> None:
    assert bounded(THREE, *wish, replace(SPEC, min_replicas=least)).soon == soon
    assert bounded(THREE, 3, 3, 3, replace(SPEC, max_replicas=2)).soon == 2

"""Which pods work, which soon will, and which are in the way."""

from __future__ import annotations

from dataclasses import replace

import pytest

from streamqueue.scaling import Pod, PodState
from streamqueue.scaling.fleet import take_stock

from .build import look, pods, ready

NOW = 1000.0


def starting(name: str, age: float) -> Pod:
    return Pod(name, PodState.STARTING, NOW - age, pending=0)


def test_each_pod_is_counted_once_by_what_it_can_do() -> None:
    going = replace(ready("going", 3), state=PodState.TERMINATING)
    fleet = (
        *pods(0, 2),
        starting("young", 120.0),
        starting("old", 121.0),
        Pod("nowhere", PodState.UNSCHEDULABLE, 0.0),
        Pod("fails", PodState.FAILING, NOW),
        going,
        replace(going, name="empty", pending=0),
    )
    found = take_stock(look(NOW, pods=fleet, replicas=8), patience=120.0)
    assert [pod.name for pod in found.ready] == ["p0", "p1"]
    assert [pod.name for pod in found.starting] == ["young"]
    assert [pod.name for pod in found.failing] == ["old", "fails"], "one that starts for too long is no capacity"
    assert [pod.name for pod in found.unschedulable] == ["nowhere"]
    assert [pod.name for pod in found.idle] == ["p0"]
    assert (found.held, found.terminating, found.live) == ((2, 3), 2, 6)
    assert (found.missing, found.leaving, found.capacity) == (2, 0, 5)


@pytest.mark.parametrize(
    ("replicas", "missing", "leaving", "capacity"), [(5, 2, 0, 4), (3, 0, 0, 2), (1, 0, 2, 1), (0, 0, 3, 0)]
)
def test_what_a_deployment_asks_for_bounds_what_is_there(
    replicas: int, missing: int, leaving: int, capacity: int
) -> None:
    seen = look(NOW, pods=(*pods(1), starting("s", 1.0), Pod("fails", PodState.FAILING, 0.0)), replicas=replicas)
    found = take_stock(seen, patience=120.0)
    assert (found.missing, found.leaving, found.capacity) == (missing, leaving, capacity)


@pytest.mark.parametrize(("pending", "idle"), [(0, 2), (1, 0)])
def test_pods_that_share_a_name_are_idle_together(pending: int, idle: int) -> None:
    found = take_stock(look(NOW, pods=pods(None, None), pending=pending), patience=120.0)
    assert found.shared_names and len(found.idle) == idle

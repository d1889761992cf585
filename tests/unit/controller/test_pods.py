"""A pod's state, from what the kubelet and the scheduler say of it."""

from __future__ import annotations

from typing import Any

import pytest

from streamqueue.api.template import DELETION_COST
from streamqueue.api.timestamps import epoch, rfc3339
from streamqueue.controller.pods import states as pods
from streamqueue.scaling.model import PodState
from tests.unit.controller.bodies import condition, container, pod

WAITING = [container(state={"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}})]

UNSEEN = {"reason": "CreateContainerConfigError", "message": "failed to sync secret cache: timed out waiting"}
MISSING = {"reason": "CreateContainerConfigError", "message": 'secret "keys" not found'}


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({}, PodState.STARTING),
        ({"conditions": [condition("Ready", "True")]}, PodState.READY),
        ({"conditions": [condition("PodScheduled", "True"), condition("Ready", "True")]}, PodState.READY),
        ({"conditions": [condition("PodScheduled", "True"), condition("Ready", "False")]}, PodState.STARTING),
        ({"conditions": [condition("PodScheduled", "False", "Unschedulable")]}, PodState.UNSCHEDULABLE),
        ({"conditions": [condition("PodScheduled", "False", "SchedulingGated", "by a gate")]}, PodState.STARTING),
        ({"containerStatuses": WAITING}, PodState.FAILING),
        ({"initContainerStatuses": WAITING, "containerStatuses": [container("runner")]}, PodState.FAILING),
        ({"containerStatuses": [container(state={"waiting": {"reason": "ContainerCreating"}})]}, PodState.STARTING),
        ({"containerStatuses": [container(state={"waiting": MISSING})]}, PodState.FAILING),
        ({"containerStatuses": [container(state={"waiting": UNSEEN})]}, PodState.STARTING),
    ],
)
def test_state(status: dict[str, Any], expected: PodState) -> None:
    body = pod(**status)
    assert pods.state(body) is expected
    assert (pods.unschedulable(body) is not None) is (expected is PodState.UNSCHEDULABLE)


def test_a_pod_that_was_told_to_go_is_no_capacity_even_if_ready() -> None:
    body = pod(conditions=[condition("Ready", "True")])
    body["metadata"]["deletionTimestamp"] = "2026-01-01T00:10:00Z"
    assert pods.state(body) is PodState.TERMINATING


def test_an_evicted_pod_is_over() -> None:
    assert pods.is_over(pod(phase="Failed"))


def test_times_are_turned_into_the_loops_clock() -> None:
    view = pods.view(pod(conditions=[condition("Ready", "True")]), pending=2, clock_offset=-1_767_225_600.0)
    assert (view.created, view.ready_at, view.pending) == (0.0, 0.0, 2)


def test_a_pod_whose_container_came_again_says_so() -> None:
    """Its time of readiness is that of the later start."""
    fresh, again = container(restartCount=0), container("proxy", restartCount=1)
    assert not pods.view(pod(containerStatuses=[fresh]), pending=0, clock_offset=0.0).restarted
    assert pods.view(pod(initContainerStatuses=[again], containerStatuses=[fresh]), 0, 0.0).restarted


@pytest.mark.parametrize(("cost", "marked"), [(pods.VICTIM_COST, True), ("-5", False), (None, False)])
def test_a_pod_is_marked_by_what_the_replica_set_goes_by(cost: str | None, marked: bool) -> None:
    body = pod()
    body["metadata"]["annotations"] = {DELETION_COST: cost} if cost else {}
    assert pods.view(body, 0, 0.0).marked is marked


def test_epoch_and_rfc3339_are_inverse() -> None:
    assert rfc3339(epoch("2026-03-04T05:06:07Z")) == "2026-03-04T05:06:07Z"

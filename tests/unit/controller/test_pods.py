"""A pod's state, from what the kubelet and the scheduler say of it."""

from __future__ import annotations

from typing import Any

import pytest

from streamqueue.api.timestamps import epoch, rfc3339
from streamqueue.controller.pods import states as pods
from streamqueue.scaling.model import PodState
from tests.unit.controller.bodies import CREATED, condition, container, pod

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


def test_epoch_and_rfc3339_are_inverse() -> None:
    assert rfc3339(epoch("2026-03-04T05:06:07Z")) == "2026-03-04T05:06:07Z"


def test_a_loop_of_crashes_is_said_between_two_of_them() -> None:
    ended = {"terminated": {"exitCode": 1, "finishedAt": "2026-01-01T00:10:00Z"}}
    running = {"running": {"startedAt": "2026-01-01T00:10:01Z"}}
    body = pod(containerStatuses=[container(state=running, lastState=ended, restartCount=3)])
    soon = epoch("2026-01-01T00:10:30Z")
    assert pods.crash_loop(body, soon) == ("CrashLoop", "ended 3 times, last with exit code 1 (Error): see its log")
    assert pods.crash_loop(body, soon + 60) is None
    assert pods.failure(body) is None


def test_another_container_than_the_handler_is_named() -> None:
    ended = {"terminated": {"exitCode": 1, "finishedAt": "2026-01-01T00:10:00Z"}}
    body = pod(initContainerStatuses=[container("mesh", state=ended, restartCount=2)])
    told = ("CrashLoop", "container mesh ended 2 times, last with exit code 1 (Error): see its log")
    assert pods.crash_loop(body, 0.0) == told


def test_a_loop_of_crashes_is_said_in_the_moment_of_one() -> None:
    ended = {"terminated": {"exitCode": 1, "finishedAt": "2026-01-01T00:10:00Z"}}
    now = epoch("2026-01-01T00:10:00Z")
    assert pods.crash_loop(pod(containerStatuses=[container(state=ended, restartCount=1)]), now) is not None
    assert pods.crash_loop(pod(containerStatuses=[container(state=ended, restartCount=0)]), now) is None


SHORT = {"terminated": {"exitCode": 0, "startedAt": "2026-01-01T00:09:58Z", "finishedAt": "2026-01-01T00:10:00Z"}}
LONG = {"terminated": {"exitCode": 0, "startedAt": "2026-01-01T00:00:00Z", "finishedAt": "2026-01-01T00:10:00Z"}}
AGAIN = {"running": {"startedAt": "2026-01-01T00:10:20Z"}}


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (container(state=AGAIN, lastState=SHORT, restartCount=2), True),
        (container(state=AGAIN, lastState=SHORT, restartCount=1), False),
        (container(state=SHORT, restartCount=3), True),
        (container(state=AGAIN, lastState=LONG, restartCount=3), False),
        (container(state=LONG, restartCount=3), False),
        (container(state={"terminated": {"exitCode": 0, "finishedAt": "2026-01-01T00:10:00Z"}}, restartCount=3), False),
        (container(state={"terminated": {"exitCode": 0, "startedAt": "2026-01-01T00:09:58Z"}}, restartCount=3), False),
    ],
)
def test_a_worker_that_ends_well_again_and_again_is_held_back_as_one_that_crashes(status: Any, said: bool) -> None:
    """Such as a loop that ends after a task: the kubelet says so, but not between two of its waits."""
    assert (pods.crash_loop(pod(containerStatuses=[status]), epoch("2026-01-01T00:10:30Z")) is not None) is said


def test_an_init_container_that_is_done_is_no_crash() -> None:
    done = container("migrate", state=SHORT, restartCount=1)
    assert pods.crash_loop(pod(initContainerStatuses=[done], containerStatuses=[container()]), 0.0) is None


def test_a_sidecar_that_ends_well_again_and_again_is_held_back_too() -> None:
    """With protocol http the handler is one."""
    body = pod(initContainerStatuses=[container(state=AGAIN, lastState=SHORT, restartCount=3)])
    assert pods.crash_loop(body, epoch("2026-01-01T00:10:30Z")) is not None


def test_a_pod_that_goes_needs_no_help() -> None:
    body = pod(containerStatuses=WAITING)
    assert pods.crash_loop(body, 0.0) is not None
    body["metadata"]["deletionTimestamp"] = "2026-01-01T00:10:00Z"
    assert pods.crash_loop(body, 0.0) is None


UNREADY = {**condition("Ready", "False", message="containers with unready status"), "lastTransitionTime": CREATED}
RUNS = {"running": {"startedAt": CREATED}}


@pytest.mark.parametrize(
    ("status", "told"),
    [
        ({}, "its node doesn't say that it is ready"),
        ({"conditions": [UNREADY]}, "containers with unready status"),
        (
            {"containerStatuses": [container(state={"waiting": {"reason": "ContainerCreating"}})]},
            "container handler isn't there yet (ContainerCreating): `kubectl describe pod` says what for",
        ),
        (
            {
                "initContainerStatuses": [container("handler", state=RUNS, started=False)],
                "containerStatuses": [container("runner", state={"waiting": {"reason": "PodInitializing"}})],
            },
            "container handler runs, and has not passed its startup probe",
        ),
        (
            {"containerStatuses": [container("a", state=RUNS, ready=True), container(state=RUNS, started=True)]},
            "container handler runs, and its readiness probe fails",
        ),
        ({"initContainerStatuses": [container("migrate", state=RUNS)]}, "init container migrate has not ended"),
    ],
)
def test_what_a_pod_waits_for_that_is_unready_for_long(status: dict[str, Any], told: str) -> None:
    body = pod(**status)
    body["spec"] = {"initContainers": [{"name": "migrate"}, {"name": "handler", "restartPolicy": "Always"}]}
    assert pods.unready(body, epoch(CREATED) + 30, 30) is None
    found = pods.unready(body, epoch(CREATED) + 31, 30)
    assert found == ("ReadinessProbe" if "readiness" in told else "NotReady", told)
    body["metadata"]["deletionTimestamp"] = CREATED
    assert pods.unready(body, epoch(CREATED) + 31, 30) is None, "it goes"


def test_a_pod_that_was_ready_has_its_time_anew() -> None:
    later = {**UNREADY, "lastTransitionTime": "2026-01-01T01:00:00Z"}
    assert pods.unready(pod(conditions=[later]), epoch(later["lastTransitionTime"]) + 30, 30) is None
    assert pods.unready(pod(conditions=[condition("Ready", "True")]), epoch(CREATED) + 3600, 30) is None
    assert pods.unready(pod(containerStatuses=WAITING), epoch(CREATED) + 3600, 30) is None, "more is said of it"

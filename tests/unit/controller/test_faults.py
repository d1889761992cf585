"""What is said of a pod that doesn't work."""

from __future__ import annotations

from typing import Any

import pytest

from streamqueue.api.timestamps import epoch
from streamqueue.controller.pods.faults import READINESS, Fault, failing, unready
from tests.unit.controller.bodies import CREATED, condition, container, pod

WAITING = [container(state={"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}})]


def test_a_loop_of_crashes_is_said_between_two_of_them() -> None:
    ended = {"terminated": {"exitCode": 1, "finishedAt": "2026-01-01T00:10:00Z"}}
    running = {"running": {"startedAt": "2026-01-01T00:10:01Z"}}
    body = pod(containerStatuses=[container(state=running, lastState=ended, restartCount=3)])
    soon = epoch("2026-01-01T00:10:30Z")
    told = Fault(
        "CrashLoop", "container handler crashes again and again: 3 restart(s), last exit code 1 (Error)", "handler"
    )
    assert failing(body, soon) == told
    assert failing(body, soon + 60) is None
    held_back = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 40s restarting"}}
    for state in (held_back, ended):
        before = container(state=state, lastState=ended, restartCount=3)
        assert failing(pod(containerStatuses=[before]), soon) == told, "in the same words"
    unknown = failing(pod(containerStatuses=[container(state=held_back, restartCount=3)]), soon)
    assert unknown == Fault("CrashLoop", "back-off 40s restarting", "handler")


@pytest.mark.parametrize("message", [{}, {"message": "no such image"}], ids=str)
def test_a_container_that_does_not_start_is_told_of_in_the_kubelets_words(message: dict[str, str]) -> None:
    again = {"exitCode": 1, "finishedAt": "2026-01-01T00:10:00Z"}
    status = container(
        state={"waiting": {"reason": "ErrImagePull", **message}}, lastState={"terminated": again}, restartCount=3
    )
    told = message.get("message", "the kubelet gives no reason")
    assert failing(pod(containerStatuses=[status]), 0.0) == Fault("ImagePull", told, "handler")


def test_another_container_than_the_handler_is_named() -> None:
    ended = {"terminated": {"exitCode": 1, "finishedAt": "2026-01-01T00:10:00Z"}}
    body = pod(initContainerStatuses=[container("mesh", state=ended, restartCount=2)])
    found = failing(body, 0.0)
    assert found and found.container == "mesh" and found.sentence.startswith("container mesh crashes")


def test_a_loop_of_crashes_is_said_in_the_moment_of_one() -> None:
    ended = {"terminated": {"exitCode": 1, "finishedAt": "2026-01-01T00:10:00Z"}}
    now = epoch("2026-01-01T00:10:00Z")
    assert failing(pod(containerStatuses=[container(state=ended, restartCount=1)]), now) is not None
    assert failing(pod(containerStatuses=[container(state=ended, restartCount=0)]), now) is None


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
    assert (failing(pod(containerStatuses=[status]), epoch("2026-01-01T00:10:30Z")) is not None) is said


def test_an_init_container_that_is_done_is_no_crash() -> None:
    done = container("migrate", state=SHORT, restartCount=1)
    assert failing(pod(initContainerStatuses=[done], containerStatuses=[container()]), 0.0) is None


def test_a_sidecar_that_ends_well_again_and_again_is_held_back_too() -> None:
    """With protocol http the handler is one."""
    body = pod(initContainerStatuses=[container(state=AGAIN, lastState=SHORT, restartCount=3)])
    assert failing(body, epoch("2026-01-01T00:10:30Z")) is not None


def test_a_pod_that_goes_needs_no_help() -> None:
    body = pod(containerStatuses=WAITING)
    assert failing(body, 0.0) is not None
    body["metadata"]["deletionTimestamp"] = "2026-01-01T00:10:00Z"
    assert failing(body, 0.0) is None


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
        (
            {
                "conditions": [UNREADY, condition("ContainersReady", "True")],
                "containerStatuses": [container(ready=True)],
            },
            "its node doesn't answer",
        ),
        (
            {
                "initContainerStatuses": [container("migrate", ready=True)],
                "containerStatuses": [container(state={"waiting": {"reason": "PodInitializing"}})],
            },
            "container handler isn't there yet (PodInitializing): `kubectl describe pod` says what for",
        ),
    ],
)
def test_what_a_pod_waits_for_that_is_unready_for_long(status: dict[str, Any], told: str) -> None:
    body = pod(**status)
    body["spec"] = {"initContainers": [{"name": "migrate"}, {"name": "handler", "restartPolicy": "Always"}]}
    assert unready(body, epoch(CREATED) + 30, 30) is None
    found = unready(body, epoch(CREATED) + 31, 30)
    assert found and (found.word, found.sentence) == (READINESS if "readiness" in told else "NotReady", told)
    assert found.container in told and bool(found.container) is ("container " in told)
    body["metadata"]["deletionTimestamp"] = CREATED
    assert unready(body, epoch(CREATED) + 31, 30) is None, "it goes"


def test_a_pod_that_was_ready_has_its_time_anew() -> None:
    later = {**UNREADY, "lastTransitionTime": "2026-01-01T01:00:00Z"}
    assert unready(pod(conditions=[later]), epoch(later["lastTransitionTime"]) + 30, 30) is None
    assert unready(pod(conditions=[condition("Ready", "True")]), epoch(CREATED) + 3600, 30) is None
    assert unready(pod(containerStatuses=WAITING), epoch(CREATED) + 3600, 30) is None, "more is said of it"

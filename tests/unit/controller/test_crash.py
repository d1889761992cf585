"""Only a container that was seen terminated is dead, or a pod that is gone and out of grace."""

from __future__ import annotations

import math
from typing import Any

import pytest

from streamqueue.api.timestamps import epoch, rfc3339
from streamqueue.controller.pods.crash import Crash, crash_of_gone, crashes
from streamqueue.controller.pods.states import remains
from tests.unit.controller.bodies import container, pod

TASK = 5.0
ENDED = "2026-01-01T00:10:00Z"
TERMINATED = {"terminated": {"finishedAt": ENDED, "reason": "OOMKilled", "exitCode": 137, "containerID": "c1"}}


def found(state: dict[str, Any], last: dict[str, Any] | None = None, name: str = "handler") -> list[Crash]:
    status = container(name, state=state, lastState=last or {})
    return list(crashes(pod(containerStatuses=[status]), task_time=TASK))


def running(since: str) -> dict[str, Any]:
    return {"running": {"startedAt": since}}


def test_a_container_that_just_ended_frees_what_surely_came_before() -> None:
    (crash,) = found(TERMINATED)
    assert crash.consumer == "orders-6b7f9-abcde"
    assert (crash.before, crash.not_before) == (epoch(ENDED), 0.0)
    assert crash.cause == "container OOMKilled, exit code 137"


def test_a_restarted_container_frees_all_that_came_before_its_start() -> None:
    (crash,) = found(running("2026-01-01T00:10:03Z"), TERMINATED)
    assert (crash.before, crash.not_before, crash.charged) == (epoch(ENDED) + 3, 0.0, True)


def test_within_one_second_old_and_new_are_told_apart_by_the_time_a_task_takes() -> None:
    sure, unclear = found(running(ENDED), TERMINATED)
    assert (sure.before, sure.not_before) == (epoch(ENDED), 0.0)
    assert (unclear.before, unclear.not_before) == (epoch(ENDED) + 1, epoch(ENDED) + 1 + TASK)


def test_a_container_that_is_held_back_frees_its_last_second_too() -> None:
    (crash,) = found({"waiting": {"reason": "CrashLoopBackOff"}}, TERMINATED)
    assert (crash.before, crash.not_before, crash.charged) == (epoch(ENDED) + 1, 0.0, True)


def test_a_running_container_is_no_evidence_however_idle() -> None:
    assert found(running(ENDED)) == []


def test_a_sidecars_end_says_nothing_of_the_handler() -> None:
    assert found(TERMINATED, name="proxy") == []


def test_with_http_the_runner_is_the_reader_and_the_handlers_end_no_evidence() -> None:
    runner = container("runner", state=running(ENDED))
    dead_handler = container("handler", state=TERMINATED)
    assert list(crashes(pod(containerStatuses=[runner], initContainerStatuses=[dead_handler]), TASK)) == []

    dead_runner = container("runner", state=TERMINATED)
    (crash,) = crashes(pod(containerStatuses=[dead_runner], initContainerStatuses=[container(state={})]), TASK)
    assert crash.consumer == "orders-6b7f9-abcde"


def test_a_container_that_a_template_calls_runner_is_no_reader_beside_a_handler() -> None:
    statuses = [container("handler", state=running(ENDED)), container("runner", state=TERMINATED)]
    assert list(crashes(pod(containerStatuses=statuses), TASK)) == []
    assert crash_of_gone(pod(containerStatuses=statuses), now=100.0, grace=30.0).not_before == 130.0


def test_a_gone_pod_whose_runner_ended_frees_everything_at_once() -> None:
    gone = pod(containerStatuses=[container("runner", state=TERMINATED)])
    assert crash_of_gone(gone, now=100.0, grace=30.0).not_before == 0.0


def test_a_gone_pod_whose_container_ended_frees_everything_at_once() -> None:
    crash = crash_of_gone(pod(containerStatuses=[container(state=TERMINATED)]), now=100.0, grace=30.0)
    assert crash.before == math.inf
    assert (crash.not_before, crash.unseen) == (0.0, "")


def test_a_pod_torn_away_may_live_on_for_its_grace() -> None:
    crash = crash_of_gone(pod(containerStatuses=[container(state={"running": {}})]), now=100.0, grace=30.0)
    assert (crash.not_before, crash.unseen) == (130.0, "p1")


UNKNOWN = {"terminated": {"finishedAt": None, "startedAt": None, "reason": "ContainerStatusUnknown", "exitCode": 137}}


def test_an_evicted_pod_frees_everything_though_nobody_knows_when_it_ended() -> None:
    (crash,) = crashes(pod(phase="Failed", containerStatuses=[container(state=UNKNOWN)]), task_time=TASK)
    assert (crash.before, crash.not_before) == (math.inf, 0.0)
    assert crash.cause == "container ContainerStatusUnknown, exit code 137"


DISRUPTED = [
    {"type": "DisruptionTarget", "status": "True", "lastTransitionTime": ENDED, "reason": "EvictionByEvictionAPI"}
]


def test_what_the_cluster_ends_is_charged_to_no_task_however_it_is_seen() -> None:
    for state, phase in ((TERMINATED, "Running"), (UNKNOWN, "Failed")):
        statuses = [container(state=state)]
        (crash,) = crashes(pod(phase=phase, conditions=DISRUPTED, containerStatuses=statuses), TASK)
        assert not crash.charged
        (other,) = crashes(pod(phase=phase, containerStatuses=statuses), TASK)
        assert other.charged
    gone = pod(conditions=DISRUPTED, containerStatuses=[container(state={"running": {}})])
    assert not crash_of_gone(remains(gone), now=100.0, grace=30.0).charged
    assert crash_of_gone(remains(pod()), now=100.0, grace=30.0).charged


def test_a_crash_before_the_cluster_ended_the_pod_is_charged() -> None:
    later = [DISRUPTED[0] | {"lastTransitionTime": "2026-01-01T00:10:01Z"}]
    (crash,) = crashes(pod(conditions=later, containerStatuses=[container(state=TERMINATED)]), TASK)
    assert crash.charged


def test_an_end_at_a_time_nobody_knows_frees_what_came_before_the_next_start() -> None:
    (crash,) = found(running("2026-01-01T00:10:03Z"), UNKNOWN)
    assert (crash.before, crash.not_before) == (epoch(ENDED) + 3, 0.0)
    (again,) = found(running("2026-01-01T00:20:00Z"), UNKNOWN)
    assert again.id != crash.id


def test_until_that_start_it_frees_nothing() -> None:
    assert found(UNKNOWN) == found({"waiting": {"reason": "ContainerCreating"}}, UNKNOWN) == []


def test_a_pod_that_never_told_of_its_reader_may_live_on_for_its_grace() -> None:
    assert crash_of_gone(pod(), now=100.0, grace=30.0).not_before == 130.0


@pytest.mark.parametrize(("ends", "since"), [(-60.0, -60.0), (20.0, 0.0)])
def test_the_grace_of_a_gone_pod_counts_from_when_it_was_to_end_or_from_now(ends: float, since: float) -> None:
    """`deletionTimestamp` lies ahead where the pod was deleted by force before."""
    gone, now = pod(containerStatuses=[container(state={"running": {}})]), epoch(ENDED)
    gone["metadata"]["deletionTimestamp"] = rfc3339(now + ends)
    assert crash_of_gone(gone, now, grace=30.0).not_before == now + since + 30.0


def test_the_ends_of_two_pods_are_two_crashes() -> None:
    """Though they hold the same container id, or none."""
    ids = []
    for uid in ("p1", "p2"):
        again = container(state=running("2026-01-01T00:10:03Z"), lastState=UNKNOWN)
        for phase, status in (
            ("Running", container(state=TERMINATED)),
            ("Failed", container(state=UNKNOWN)),
            ("", again),
        ):
            ids += [crash.id for crash in crashes(pod(uid=uid, phase=phase, containerStatuses=[status]), TASK)]
        ids.append(crash_of_gone(pod(uid=uid), now=100.0, grace=30.0).id)
    assert len(set(ids)) == len(ids) == 8


@pytest.mark.parametrize(
    "now", [None, {"waiting": {"reason": "CrashLoopBackOff"}}, running("2026-01-01T00:10:03Z"), running(ENDED)], ids=str
)
def test_two_ends_of_one_pod_are_two_crashes(now: dict[str, Any] | None) -> None:
    """Evidence is used once: the second end would be passed over."""
    again = {"terminated": TERMINATED["terminated"] | {"containerID": "c2"}}
    ids = [crash.id for end in (TERMINATED, again) for crash in found(now or end, end)]
    assert len(set(ids)) == len(ids) >= 2

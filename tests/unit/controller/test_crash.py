"""Only a container that was seen terminated is dead, or a pod that is gone and out of grace."""

from __future__ import annotations

import math

from streamqueue.controller.crash import crash_of_gone, crashes
from streamqueue.controller.pods import epoch
from tests.unit.controller.bodies import container, pod

ENDED = "2026-01-01T00:10:00Z"
TERMINATED = {"terminated": {"finishedAt": ENDED, "reason": "OOMKilled", "exitCode": 137, "containerID": "c1"}}


def test_a_restarted_container_frees_what_came_before_its_end() -> None:
    status = container(state={"running": {}}, lastState=TERMINATED)
    (crash,) = crashes(pod(containerStatuses=[status]))
    assert crash.consumer == "orders-6b7f9-abcde"
    assert epoch(ENDED) - 2 < crash.before < epoch(ENDED)
    assert crash.not_before == 0.0
    assert crash.cause == "container OOMKilled, exit code 137"


def test_a_running_container_is_no_evidence_however_idle() -> None:
    assert list(crashes(pod(containerStatuses=[container(state={"running": {}}, lastState={})]))) == []


def test_a_sidecars_end_says_nothing_of_the_handler() -> None:
    assert list(crashes(pod(containerStatuses=[container("proxy", state=TERMINATED)]))) == []


def test_a_gone_pod_whose_container_ended_frees_everything_at_once() -> None:
    crash = crash_of_gone(pod(containerStatuses=[container(state=TERMINATED)]), now=100.0, grace=30.0)
    assert crash.before == math.inf
    assert crash.not_before == 0.0


def test_a_pod_torn_away_may_live_on_for_its_grace() -> None:
    crash = crash_of_gone(pod(containerStatuses=[container(state={"running": {}})]), now=100.0, grace=30.0)
    assert crash.not_before == 130.0


def test_two_ends_of_one_pod_are_two_crashes() -> None:
    again = {"terminated": TERMINATED["terminated"] | {"containerID": "c2"}}
    found = list(crashes(pod(containerStatuses=[container(state=again, lastState=TERMINATED)])))
    assert len({crash.id for crash in found}) == 2

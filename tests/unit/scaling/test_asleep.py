"""A queue without work and pods."""

from __future__ import annotations

from typing import Any

import pytest

from streamqueue.api.spec import Scaling, TargetBacklog, TargetWait
from streamqueue.scaling import Pod, PodState, Reason, decide

from .build import look, pods

GOING = (Pod("last", PodState.TERMINATING, 0.0, ready_at=1.0, pending=0),)


@pytest.mark.parametrize(
    "spec", [Scaling(target=TargetWait(30.0)), Scaling(target=TargetBacklog(5))], ids=["wait", "backlog"]
)
def test_a_new_process_says_of_it_what_the_one_before_said(spec: Scaling) -> None:
    """Else a restart of the operator would write the status of every idle queue twice."""
    first, memory = decide(spec, None, look(100.0))
    second, _ = decide(spec, memory, look(105.0))
    assert first == second


def test_of_a_queue_that_is_pinned_at_zero_the_pin_is_told_not_the_silence() -> None:
    first, memory = decide(Scaling(replicas=0), None, look(100.0))
    second, _ = decide(Scaling(replicas=0), memory, look(105.0))
    assert first == second
    assert (first.replicas, first.reason, first.sentence) == (0, Reason.PINNED, "0: pinned at 0")


@pytest.mark.parametrize(
    ("spec", "seen", "replicas", "reason"),
    [
        (Scaling(), {"known": False}, 0, Reason.UNKNOWN),
        (Scaling(), {"waiting": 1}, 1, Reason.SCALING_UP),
        (Scaling(), {"pending": 1}, 1, Reason.SCALING_UP),
        (Scaling(), {"replicas": 2}, 2, Reason.LEARNING),
        (Scaling(), {"replicas": 1}, 1, Reason.LEARNING),
        (Scaling(), {"pods": GOING}, 0, Reason.IDLE),
        (Scaling(target=TargetBacklog(5)), {"pods": GOING}, 0, Reason.IDLE),
        (Scaling(), {"pods": pods(0)}, 1, Reason.LEARNING),
        (Scaling(paused=True), {}, 0, Reason.PAUSED),
        (Scaling(min_replicas=1), {}, 1, Reason.SCALING_UP),
        (Scaling(min_replicas=2), {}, 2, Reason.SCALING_UP),
        (Scaling(replicas=3), {}, 3, Reason.PINNED),
        (Scaling(target=TargetWait(1.0)), {"next_due": 0.5}, 1, Reason.SCALING_UP),
        (Scaling(target=TargetWait(1.0)), {"next_due": 500.0}, 0, Reason.IDLE),
    ],
)
def test_only_a_queue_that_nothing_is_wanted_of_sleeps(
    spec: Scaling, seen: dict[str, Any], replicas: int, reason: Reason
) -> None:
    _, asleep = decide(Scaling(), None, look(0.0))
    for memory in (None, asleep):
        decision, _ = decide(spec, memory, look(1.0, **seen))
        assert (decision.replicas, decision.reason) == (replicas, reason)

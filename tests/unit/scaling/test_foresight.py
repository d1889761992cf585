"""Delayed tasks: a pod is there when the next one falls due, and the last pod doesn't go just before."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamqueue.api.spec import Scaling, TargetBacklog, TargetWait
from streamqueue.scaling import Memory, Observation, Reason, decide, lead
from streamqueue.scaling.coldstart import PRIOR
from streamqueue.scaling.coldstart import ColdStart as Known
from streamqueue.scaling.fleet import take_stock
from streamqueue.scaling.foresight import foresee
from streamqueue.scaling.wish import Wish
from streamqueue.simulate.cluster import Cluster, ColdStart

from . import build
from .play import BentLaw, play

BY_WAIT = Scaling(max_replicas=5, target=TargetWait(30.0))
BY_BACKLOG = Scaling(max_replicas=5, target=TargetBacklog(10))


def delayed(dues: list[float]) -> BentLaw:
    """A law that sees when the next of these tasks falls due; the stream gets each at that time."""

    def bend(seen: Observation) -> Observation:
        ahead = [due - seen.now for due in dues if due > seen.now]
        return replace(seen, next_due=min(ahead, default=None))

    return BentLaw(BY_WAIT, bend=bend)


def test_a_pod_starts_so_early_that_the_task_is_in_time_from_zero() -> None:
    """Pods take 40 s, longer than a task may wait: one that starts when the task is due comes too late."""
    arrivals = [0.0, 900.0, 1800.0]
    law = delayed(arrivals)
    outcome = play(arrivals, [2.0] * 3, law, Cluster(ColdStart(40.0)))
    assert max(outcome.waits[1:]) <= 30
    assert {decision.replicas for seen, decision in law.log if 400 < seen.now < 850} == {0}


def test_where_pods_start_within_the_target_none_starts_before_the_task_is_due() -> None:
    arrivals = [0.0, 900.0]
    law = delayed(arrivals)
    outcome = play(arrivals, [2.0] * 2, law, Cluster(ColdStart(5.0)))
    assert outcome.waits[1] <= 30
    assert all(decision.replicas == 0 for seen, decision in law.log if 600 < seen.now < 900)


@pytest.mark.parametrize(("due", "replicas", "reason"), [(PRIOR + 3, 1, Reason.SCALING_UP), (60.0, 0, Reason.IDLE)])
def test_with_target_backlog_a_pod_is_ready_when_the_task_is_due(due: float, replicas: int, reason: Reason) -> None:
    _, memory = decide(BY_BACKLOG, None, build.look(0.0))
    decision, _ = decide(BY_BACKLOG, memory, build.look(1.0, next_due=due))
    assert (decision.replicas, decision.reason) == (replicas, reason)
    if replicas:
        assert "due in 13 s" in decision.sentence


@pytest.mark.parametrize("spec", [BY_WAIT, BY_BACKLOG])
def test_the_last_pod_stays_for_a_task_that_is_due_soon_and_goes_for_a_later_one(spec: Scaling) -> None:
    def left(due: float) -> int:
        memory: Memory | None = None
        marked_since: float | None = None
        for now in range(300):
            look = build.look(float(now), pods=build.pods(0, marked_since=marked_since), next_due=due)
            decision, memory = decide(spec, memory, look)
            marked_since = (now if marked_since is None else marked_since) if decision.victims else None
            if decision.replicas == 0:
                return 0
        return 1

    assert (left(4.0), left(600.0)) == (1, 0)


@settings(max_examples=200)
@given(build.specs(), build.histories(), st.floats(0, 100))
def test_never_to_zero_when_a_task_is_due_before_a_pod_could_be_there(
    spec: Scaling, history: list[Observation], due: float
) -> None:
    memory: Memory | None = None
    for seen in history:
        observation = replace(seen, next_due=due)
        decision, memory = decide(spec, memory, observation)
        if spec.replicas is None and not spec.paused and seen.known and due <= lead(spec, memory.cold):
            assert decision.replicas >= 1 or any(pod.state == "terminating" for pod in seen.pods)


@pytest.mark.parametrize(
    ("spec", "replicas", "wish", "due", "expected"),
    [
        # Pods take 10 s, and three looks: a backlog's pod is there when the task is due.
        (BY_BACKLOG, 0, (0, 0, 0), 13.0, (1, 1, 1)),
        (BY_BACKLOG, 0, (0, 0, 0), 13.1, (0, 0, 0)),
        (replace(BY_BACKLOG, polling_interval=2.0), 0, (0, 0, 0), 16.0, (1, 1, 1)),
        # The last one stays where it would have to start again before it could go.
        (BY_BACKLOG, 1, (0, 0, 0), 53.0, (1, 1, 1)),
        (BY_BACKLOG, 1, (0, 0, 0), 53.1, (0, 0, 0)),
        (BY_WAIT, 1, (0, 0, 0), 10.0, (1, 1, 1)),
        (BY_WAIT, 1, (0, 0, 0), 10.1, (0, 0, 0)),
        # What is wanted anyway is wanted still.
        (BY_BACKLOG, 3, (3, 2, 0), 5.0, (3, 2, 1)),
        (BY_BACKLOG, 3, (3, 2, 2), 5.0, (3, 2, 2)),
        (BY_BACKLOG, 3, (3, 0, 0), None, (3, 0, 0)),
    ],
)
def test_what_a_law_wishes_with_a_task_ahead(
    spec: Scaling, replicas: int, wish: tuple[int, int, int], due: float | None, expected: tuple[int, int, int]
) -> None:
    seen = build.look(0.0, pods=build.pods(*[0] * replicas), next_due=due)
    found = foresee(Wish(*wish, "why"), spec, Known(), take_stock(seen, patience=120.0), seen)
    assert (found.count, found.need, found.soon) == expected

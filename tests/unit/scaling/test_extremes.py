"""Every field of the spec at its ends, and counters of any size: a decision comes, with numbers to read."""

from __future__ import annotations

import math
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from streamqueue.api.spec import ScaleDown, ScaleUp, Scaling, TargetBacklog, TargetWait
from streamqueue.scaling import Memory, Observation, PodState, Reason, decide
from streamqueue.scaling.deadline.service import PRIOR_WEIGHT

from . import build

MOST = 2**53


@st.composite
def specs(draw: st.DrawFn) -> Scaling:
    most = draw(st.sampled_from([1, 2, 10_000]))
    return Scaling(
        min_replicas=draw(st.sampled_from([0, 1, most])),
        max_replicas=most,
        target=draw(st.sampled_from([*map(TargetWait, (1.0, 30.0, 86_400.0)), *map(TargetBacklog, (1, 1_000_000))])),
        polling_interval=draw(st.sampled_from([0.2, 1.0, 60.0])),
        scale_down=ScaleDown(draw(st.sampled_from([0.0, 3600.0])), draw(st.sampled_from([None, 1, 10_000]))),
        scale_up=ScaleUp(draw(st.sampled_from([None, 1, 10_000]))),
        concurrency=draw(st.sampled_from([1, 1000])),
    )


@st.composite
def histories(draw: st.DrawFn) -> list[Observation]:
    now, added, seen = 0.0, draw(st.sampled_from([0, MOST])), []
    for _ in range(draw(st.integers(1, 30))):
        now += draw(st.sampled_from([0.0, 1e-9, 0.2, 1.0, 60.0, 1e6]))
        added += draw(st.sampled_from([0, 0, 1, 10_000, 10**9]))
        look = draw(build.observations(now))
        waiting = draw(st.sampled_from([0, 1, 10**5, 10**12]))
        age = draw(st.sampled_from([None, 0.0, 1e-3, 1e6, 1e9]))
        counters = draw(st.booleans())
        seen.append(
            replace(
                look,
                waiting=waiting,
                waiting_likely=draw(st.sampled_from([None, waiting, 10 * waiting])),
                oldest_waiting_age=age,
                last_delivered_age=draw(st.sampled_from([None, 0.0, 1e9])),
                entries_added=added if counters else None,
                retries=draw(st.sampled_from([0, waiting])),
                pending=draw(st.sampled_from([0, look.pending, 10**9])),
            )
        )
    return seen


@settings(max_examples=300)
@given(specs(), histories())
def test_a_decision_always_comes_and_its_numbers_are_finite(spec: Scaling, history: list[Observation]) -> None:
    memory: Memory | None = None
    for seen in history:
        decision, memory = decide(spec, memory, seen)
        assert 0 <= decision.replicas <= max(spec.max_replicas, seen.replicas)
        assert "nan" not in decision.sentence and "inf" not in decision.sentence
        assert decision.sentence.startswith(str(seen.replicas)) or decision.reason is Reason.IDLE
        assert all(math.isfinite(sample) for sample in memory.cold.samples)


def test_a_stream_that_producers_trim_while_no_worker_runs_teaches_no_service_time() -> None:
    """What is trimmed undelivered isn't done. Hours of it, and the law divided by the time that a task takes."""
    spec = Scaling(max_replicas=20, target=TargetWait(30.0))
    memory: Memory | None = None
    broken = tuple(replace(pod, state=PodState.FAILING, ready_at=None) for pod in build.pods(0, 0))
    for now in range(20_000):
        seen = build.look(
            float(now), pods=broken, waiting=1000, oldest_waiting_age=10.0, entries_added=1000 + 100 * now
        )
        decision, memory = decide(spec, memory, seen)
    assert decision.replicas >= 2
    assert memory is not None and memory.learnt is not None
    assert memory.learnt.service.seconds == 10.0


def test_tasks_that_nobody_is_seen_to_work_on_leave_a_service_time_to_divide_by() -> None:
    """A loop that acknowledges what it reads at once: nothing is pending at any look."""
    spec = Scaling(max_replicas=20, target=TargetWait(30.0))
    memory: Memory | None = None
    for now in range(10_000):
        seen = build.look(float(now), pods=build.pods(0, 0), waiting=3, oldest_waiting_age=0.1, entries_added=100 * now)
        decision, memory = decide(spec, memory, seen)
    assert decision.replicas == 2
    assert "0.001 s a task" in decision.sentence


def test_tasks_that_are_done_before_their_worker_shows_as_ready_teach_too() -> None:
    spec = Scaling(max_replicas=20, target=TargetWait(30.0))
    memory: Memory | None = None
    starting = tuple(replace(pod, state=PodState.STARTING, ready_at=None) for pod in build.pods(0))
    for now, waiting in enumerate((5, 5, 0)):
        seen = build.look(
            float(now), pods=starting, waiting=waiting, oldest_waiting_age=1.0 if waiting else None, entries_added=5
        )
        _, memory = decide(spec, memory, seen)
    assert memory is not None and memory.learnt is not None
    assert memory.learnt.service.long.tasks == PRIOR_WEIGHT + 5

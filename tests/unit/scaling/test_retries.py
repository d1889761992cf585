"""Delayed tasks and retries fall due beside the stream: they are arrivals, and neither late nor done."""

from __future__ import annotations

from dataclasses import replace

from streamqueue.api.spec import Scaling, TargetWait
from streamqueue.loop.observe import observation
from streamqueue.scaling import Decision, Memory, Observation, Pod, decide
from streamqueue.streams import Snapshot

from . import build

SPEC = Scaling(max_replicas=100, target=TargetWait(300.0))
NOON = 1_800_000_000.0  # unix seconds, when this clock says 0


def seen(now: float, pods: tuple[Pod, ...] = (), **counters: int | float | None) -> Observation:
    snapshot = Snapshot(NOON + now, stream_exists=True, group_exists=True, **counters)  # type: ignore[arg-type]
    return observation(snapshot, pods, now=now, replicas=len(pods))


def steps(memory: Memory | None, *looks: Observation) -> tuple[list[Decision], Memory]:
    decisions = []
    for look in looks:
        decision, memory = decide(SPEC, memory, look)
        decisions.append(decision)
    assert memory is not None
    return decisions, memory


def a_queue_of_short_tasks() -> Memory:
    """One a second, of one second each, until it rests at second 1,000."""
    memory: Memory | None = None
    for now in range(1000):
        pods = (build.ready("w", 1),)
        look = seen(float(now), pods, pending=1, entries_added=now, last_delivered_id=f"{int(NOON + now) * 1000}-0")
        _, memory = decide(SPEC, memory, look)
    _, memory = decide(SPEC, memory, seen(1000.0, entries_added=999))
    return memory


def test_a_thousand_delayed_tasks_that_fall_due_are_not_late() -> None:
    """From zero, in a queue that slept for an hour: they may wait five minutes as of now."""
    memory = a_queue_of_short_tasks()
    due = seen(4600.0, due=1000, delayed_due=1000, oldest_due_age=0.05, next_due=0.0, entries_added=999)
    (decision,), memory = steps(memory, due)
    assert 1 <= decision.replicas <= 10, decision.sentence
    assert "1000 waiting, oldest 0 s of 300 s" in decision.sentence


def test_their_way_into_the_stream_is_no_work_done() -> None:
    memory = a_queue_of_short_tasks()
    assert memory.learnt is not None
    before = memory.learnt.service.seconds
    pods = (build.ready("w", 1),)
    for n in range(10):
        look = seen(
            4600.0 + n,
            pods,
            pending=1,
            due=1000 - 100 * n,
            delayed_due=1000 - 100 * n,
            oldest_due_age=float(n),
            undelivered=100 * n,
            oldest_waiting_age=float(n),
            next_due=0.0,
            entries_added=1000 + 100 * n,
        )
        _, memory = decide(SPEC, memory, look)
    assert memory.learnt is not None
    assert 0.95 * before < memory.learnt.service.seconds < 1.1 * before


def test_retries_that_fall_due_are_arrivals() -> None:
    memory = a_queue_of_short_tasks()
    pods = (build.ready("w", 1),)
    looks = [seen(4600.0 + n, pods, pending=1, entries_added=1000, parked=500) for n in range(3)]
    due = seen(4603.0, pods, pending=1, entries_added=1000, due=500, oldest_due_age=0.4, next_due=0.0)
    (*_, before), memory = steps(memory, *looks)
    assert memory.learnt is not None
    done = memory.learnt.flow.delivered
    (decision,), memory = steps(memory, due)
    assert (before.replicas, decision.replicas <= 5) == (1, True), decision.sentence
    assert memory.learnt is not None
    assert memory.learnt.flow.delivered == done, "what was done before them is still known"
    assert memory.learnt.arrivals.rate(30.0) > 10


def test_the_age_of_what_waits_is_that_of_the_first_due_or_added() -> None:
    assert seen(0.0).oldest_waiting_age is None
    assert seen(0.0, undelivered=1, oldest_waiting_age=7.0).oldest_waiting_age == 7.0
    assert seen(0.0, undelivered=1, oldest_waiting_age=7.0, due=1, oldest_due_age=9.0).oldest_waiting_age == 9.0
    assert seen(0.0, due=1, oldest_due_age=9.0).oldest_waiting_age == 9.0
    assert seen(0.0, undelivered=1, due=1, oldest_due_age=9.0).oldest_waiting_age is None, "an id that is no time"


def test_a_replay_is_still_told_from_retries() -> None:
    memory = a_queue_of_short_tasks()
    look = seen(1001.0, (build.ready("w", 1),), pending=1, entries_added=999, undelivered=400, oldest_waiting_age=900.0)
    _, after = steps(memory, replace(look, retries=3))
    assert after.learnt is not None
    assert after.learnt.flow.delivered == 999 - 400

from __future__ import annotations

from streamqueue.api.spec import ScaleDown, Scaling, TargetBacklog, TargetWait
from streamqueue.scaling import Decision, Memory, Observation, Reason, decide
from streamqueue.scaling.backlog import wish_by_backlog
from streamqueue.scaling.recent import Peaks

from .build import look, pods

SPEC = Scaling(target=TargetBacklog(5), max_replicas=20, scale_down=ScaleDown(delay=30.0))


def run(spec: Scaling, *seen: Observation) -> list[Decision]:
    memory: Memory | None = None
    decisions = []
    for observation in seen:
        decision, memory = decide(spec, memory, observation)
        decisions.append(decision)
    return decisions


def test_waiting_and_pending_share_out_over_the_target() -> None:
    (decision,) = run(SPEC, look(0.0, waiting=21, pods=pods(1, 1)))
    assert (decision.replicas, decision.reason) == (5, Reason.SCALING_UP)
    assert decision.sentence == "2 -> 5: 21 waiting and 2 pending at 5 a replica"


def test_where_counting_stopped_the_servers_counters_are_planned_with() -> None:
    (decision,) = run(SPEC, look(0.0, waiting=21, waiting_exact=False, waiting_likely=40))
    assert decision.sentence == "0 -> 8: about 40 waiting and 0 pending at 5 a replica"
    (decision,) = run(SPEC, look(0.0, waiting=21, waiting_exact=False, waiting_likely=3))
    assert decision.replicas == 5, "never less than was counted"


def test_the_maximum_caps_and_says_so() -> None:
    up, full = run(SPEC, look(0.0, waiting=1000), look(1.0, waiting=1000, pods=pods(*[1] * 20)))
    assert (up.replicas, up.reason) == (20, Reason.SCALING_UP)
    assert (full.replicas, full.reason) == (20, Reason.AT_MAX)


def test_a_clock_that_ran_backwards_starts_a_new_memory() -> None:
    decisions = run(SPEC, *(look(now, pods=pods(0, 0, marked_since=now - 5.0)) for now in (0.0, 100.0, 50.0, 81.0)))
    assert [decision.replicas for decision in decisions] == [2, 0, 2, 0]


def test_a_lower_count_goes_only_after_the_delay_and_only_by_marked_pods() -> None:
    busy = look(0.0, waiting=6, pods=pods(1, 1, 1, 1))
    idle = pods(1, 0, 0, 0)
    marked = pods(1, 0, 0, 0)[:1] + pods(1, 0, 0, 0, marked_since=51.1)[1:]
    decisions = run(
        SPEC,
        busy,
        look(20.0, pods=idle),
        look(29.0, pods=idle),
        look(51.0, pods=idle),
        look(52.0, pods=marked),
        look(52.2, pods=marked),
    )
    assert [d.replicas for d in decisions] == [4, 4, 4, 4, 4, 1]
    assert [d.reason for d in decisions[2:]] == [Reason.COOLING_DOWN, *[Reason.SCALING_DOWN] * 3]
    assert [len(d.victims) for d in decisions] == [0, 0, 0, 3, 3, 3]


def test_a_queue_that_scales_by_its_backlog_again_keeps_its_pods_for_the_delay() -> None:
    """What was needed when it last did is no measure, and what the other law had is needed until the delay is over."""
    by_wait = Scaling(target=TargetWait(30.0), max_replicas=20)
    busy, idle = pods(1, 1, 1, 1), pods(0, 0, 0, 0)
    memory: Memory | None = None
    for spec, observation in (
        (SPEC, look(0.0, waiting=6, pods=busy)),
        (by_wait, look(40.0, pods=busy)),
        (by_wait, look(100.0, pods=busy)),
        (SPEC, look(101.0, pods=idle)),
    ):
        decision, memory = decide(spec, memory, observation)
    assert (decision.reason, decision.victims) == (Reason.COOLING_DOWN, ())


def test_work_that_comes_back_takes_the_marks_off() -> None:
    idle = pods(0, 0)
    first, second, third = run(
        SPEC, look(0.0, pods=idle), look(40.0, pods=idle), look(41.0, waiting=9, pods=pods(0, 0, marked_since=40.1))
    )
    assert first.victims == ()
    assert second.victims == ("p0", "p1")
    assert (third.replicas, third.victims) == (2, ())


def test_zero_only_when_nothing_is_waiting_or_pending() -> None:
    # An entry in the hands of a consumer that has no pod keeps one pod.
    orphan = look(0.0, pods=pods(0), pending=1)
    assert all(d.replicas == 1 for d in run(SPEC, orphan, look(100.0, pods=pods(0, marked_since=0.0), pending=1)))


def test_pods_are_kept_for_the_delay_never_made_for_it_and_marked_before_it_ends() -> None:
    def wish(now: float, capacity: int, waiting: int = 0) -> tuple[int, int, int]:
        nonlocal peaks
        found, peaks = wish_by_backlog(5, 30.0, 20, peaks, capacity, look(now, waiting=waiting))
        return found.count, found.need, found.soon

    peaks: Peaks | None = None
    assert wish(0.0, 0, waiting=20) == (4, 4, 4)
    assert wish(10.0, 4) == (4, 0, 4)
    assert wish(20.0, 2) == (2, 0, 2), "two have gone by themselves"
    assert wish(20.0, 4, waiting=30) == (6, 6, 6)
    assert wish(47.0, 6) == (6, 0, 6)
    assert wish(48.5, 6) == (6, 0, 0)
    assert wish(51.0, 6) == (0, 0, 0)

"""What the deadline law takes from one look to the next, and what it leaves."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from streamqueue.scaling import Pod, PodState
from streamqueue.scaling.deadline.learn import Learnt, learn
from streamqueue.scaling.deadline.price import Price
from streamqueue.scaling.deadline.service import Spent
from streamqueue.scaling.fleet import take_stock

from .build import look, pods, ready

START = 1000.0


def looked(
    before: Learnt | None,
    after: float,
    interval: float = 1.0,
    concurrency: int = 1,
    target: float = 30.0,
    limit: int = 10,
    **seen: Any,
) -> Learnt:
    """What is known so many seconds after START."""
    observation = look(START + after, **{"entries_added": 100, **seen})
    return learn(before, take_stock(observation, 120.0), target, concurrency, limit, interval, observation)


# 50 wait, 48 are done, and two are in hand.
BEFORE = looked(None, 0.0, pods=pods(1, 1), waiting=50)


def test_busy_slots_over_tasks_that_ended_are_the_service_time() -> None:
    assert looked(BEFORE, 3.0, pods=pods(1, 1), waiting=46).service.long == Spent(30.0 + 3.0 * 2, 3.0 + 4)
    assert looked(BEFORE, 3.0, pods=pods(1), waiting=46).service.long == Spent(30.0 + 3.0 * 1.5, 3.0 + 5)
    assert looked(BEFORE, 3.0, pods=pods(5, 5), waiting=46).service.long.tasks == 3, "handed out, and not done"


def test_of_many_slots_the_latest_task_of_each_is_recent() -> None:
    busy = pods(*[1] * 40)
    then = looked(looked(None, 0.0, pods=busy, waiting=60), 3.0, pods=busy, waiting=10)
    assert then.service.lately.tasks == 40


def other(state: PodState, pending: int = 0) -> tuple[Pod, ...]:
    return (replace(ready("p0", pending), state=state, created=START),)


IDLE = looked(None, 0.0, waiting=50)


@pytest.mark.parametrize(
    ("before", "after", "seen", "learns"),
    [
        (BEFORE, 3.0, {}, True),  # by who was busy before
        (IDLE, 3.0, {"pods": pods(0)}, True),
        (IDLE, 3.0, {"pods": other(PodState.STARTING)}, True),  # at work before it shows as ready
        (IDLE, 3.0, {"pods": other(PodState.TERMINATING, 1)}, True),
        (IDLE, 3.0, {"pods": other(PodState.FAILING)}, False),  # trimmed, or done by others
        (BEFORE, 3.0, {"pods": pods(1, 1), "waiting_exact": False}, False),
        (replace(BEFORE, flow=replace(BEFORE.flow, exact=False)), 3.0, {"pods": pods(1, 1)}, False),
        (BEFORE, 10.5, {"pods": pods(1, 1)}, False),  # a long time without a look
        (BEFORE, 11.0, {"pods": pods(1, 1), "interval": 6.0}, True),  # for rare ones it is none
        (BEFORE, 13.0, {"pods": pods(1, 1), "interval": 6.0}, False),
    ],
)
def test_only_what_our_workers_are_seen_to_end_is_learnt_from(
    before: Learnt, after: float, seen: dict[str, Any], learns: bool
) -> None:
    assert (looked(before, after, waiting=40, **seen).service != before.service) is learns


def test_late_tasks_raise_the_price_and_others_lower_it() -> None:
    late, in_time = BEFORE.price.learn(10.0, 0.0), BEFORE.price.learn(0.0, 10.0)

    def price(after: float, age: float | None, waiting: int = 40) -> Price:
        seen = {"pods": pods(1, 1), "waiting": waiting, "last_delivered_age": age}
        return looked(BEFORE, after, interval=6.0, **seen).price

    assert (price(3.0, 31.0), price(3.0, 30.0)) == (late, in_time)
    assert price(3.0, 31.0, waiting=49) == BEFORE.price.learn(1.0, 0.0)
    assert price(3.0, None) == price(3.0, 31.0, waiting=50) == BEFORE.price
    assert price(10.5, 31.0) == BEFORE.price, "the last delivery may be long ago, and its age tells of no wait"


def test_a_maximum_that_is_too_small_teaches_no_price() -> None:
    """Of two slots, or three: no pod that was kept or started sooner would have had all the others start in time."""

    def price(limit: int, waiting: int, slots: int = 1) -> Price:
        seen = {"pods": pods(1, 1), "waiting": waiting, "last_delivered_age": 31.0}
        return looked(BEFORE, 3.0, concurrency=slots, limit=limit, **seen).price

    assert price(2, 3) == BEFORE.price
    assert price(3, 3) != BEFORE.price
    assert price(2, 2) != BEFORE.price, "these are taken next: it may have been the start that took long"
    assert price(2, 4, slots=2) != BEFORE.price


def test_looks_are_as_far_apart_as_they_were_of_late() -> None:
    assert looked(BEFORE, 3.0, pods=pods(1, 1)).tick == pytest.approx(1.4)
    assert looked(BEFORE, 3600.0, pods=pods(1, 1)).tick == pytest.approx(1.0 + 0.2 * 9), "a gap is none of them"
    assert looked(BEFORE, 3.0, pods=pods(0, 0, marked_since=1.0)).tick == 1.0, "they come when marks settle"


def test_nothing_moves_while_tasks_wait_for_workers_and_none_is_taken() -> None:
    assert looked(BEFORE, 3.0, pods=pods(1, 1), waiting=50).moved == START
    assert looked(BEFORE, 3.0, pods=pods(1, 1), waiting=49).moved == START + 3.0
    assert looked(BEFORE, 3.0, pods=other(PodState.STARTING), waiting=50).moved == START + 3.0
    none_waits = looked(None, 0.0, pods=pods(1, 1))
    assert looked(none_waits, 3.0, pods=pods(1, 1)).moved == START + 3.0


def test_slots_that_took_nothing_for_long_are_thought_to_be_busy_for_as_long_again() -> None:
    """Ten seconds a task are expected: chance explains sixty slot-seconds without an end."""

    def busy_for(pause: float, slots: int) -> float:
        return replace(BEFORE, seen=BEFORE.moved + pause).still_busy(slots)

    assert (busy_for(61.0, 1), busy_for(59.0, 1), busy_for(59.0, 2)) == (61.0, 10.0, 59.0)
    assert busy_for(9.0, 100) == 10.0


def added_by(learnt: Learnt, *after: float) -> list[float]:
    return [learnt.arrivals.at(START + each) for each in after]


def test_what_came_in_a_gap_came_from_the_oldest_that_waits_on() -> None:
    def later(after: float, **seen: Any) -> Learnt:
        return looked(BEFORE, after, pods=pods(1, 1), **{"entries_added": 120, "waiting": 20, **seen})

    assert added_by(later(40.0, oldest_waiting_age=10.0), 20.0, 30.0, 35.0, 40.0) == [100, 100, 110, 120]
    assert added_by(later(40.0, waiting=60, oldest_waiting_age=60.0), 20.0) == [110], "it was there before"
    assert added_by(later(40.0), 20.0) == [110], "nobody knows"
    assert added_by(later(8.0, oldest_waiting_age=2.0), 4.0) == [110]
    assert len(later(40.0, entries_added=100, oldest_waiting_age=10.0).arrivals.times) == 2


@pytest.mark.parametrize(("target", "kept"), [(30.0, 62.0), (5.0, 32.0)])
def test_arrivals_are_kept_for_twice_the_target(target: float, kept: float) -> None:
    learnt = looked(None, 0.0)
    for after in range(1, 101):
        learnt = looked(learnt, float(after), target=target, entries_added=100 + after)
    assert kept <= learnt.seen - learnt.arrivals.times[0] <= kept + 1


def test_at_first_what_waits_is_thought_to_have_come_since_the_oldest() -> None:
    first = looked(None, 100.0, waiting=50, oldest_waiting_age=10.0)
    assert added_by(first, 80.0, 95.0, 100.0) == [50, 75, 100]
    assert looked(None, 100.0, waiting=50).arrivals.times == (START + 100.0,)
    assert looked(None, 100.0, waiting=0, oldest_waiting_age=10.0).arrivals.times == (START + 100.0,)


def test_without_the_servers_counter_the_fleet_is_thought_to_have_served_what_it_could() -> None:
    """Two and then three slots for 40 s, at ten seconds a task."""
    first = looked(None, 0.0, pods=pods(1, 1), entries_added=None)
    then = looked(first, 40.0, pods=pods(1, 1, 1), entries_added=None, last_delivered_age=1.0)
    assert then.flow.delivered - first.flow.delivered == 1 + 40.0 * 2.5 / 10.0


def test_another_stream_is_counted_anew_and_what_was_learnt_holds() -> None:
    taught = looked(BEFORE, 3.0, pods=pods(1, 1), waiting=46)
    anew = looked(taught, 4.0, pods=pods(1, 1, 1), entries_added=7, waiting=5)
    assert (anew.flow.added, anew.flow.delivered, anew.busy) == (7, 2, 3)
    assert anew.arrivals.added == 7
    assert anew.seen == anew.moved == START + 4.0
    assert (anew.service, anew.price, anew.levels) == (taught.service, taught.price, taught.levels)


def test_no_pod_is_busy_with_more_than_it_has_slots() -> None:
    assert looked(None, 0.0, pods=pods(1, 7), concurrency=4).busy == 5
    assert looked(None, 0.0, pods=pods(None, None), pending=7, concurrency=4).busy == 7
    assert looked(None, 0.0, pods=pods(None, None), pending=9, concurrency=4).busy == 8, "names that all share"

"""The sums behind targetWait, beside the plainest way to reckon them."""

from __future__ import annotations

from dataclasses import replace
from itertools import accumulate, pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from streamqueue.scaling import Pod, PodState
from streamqueue.scaling.deadline.arrivals import POINTS, Arrivals
from streamqueue.scaling.deadline.curve import Outlook, add_pods, is_late, lateness, look_ahead, starts_per_step
from streamqueue.scaling.deadline.law import _headway as headway
from streamqueue.scaling.deadline.up import best_addition
from streamqueue.scaling.fleet import take_stock

from .build import look, ready

QUARTERS = st.integers(0, 40).map(lambda n: n / 4)  # exact in binary, so that sums are


@settings(max_examples=300)
@given(st.lists(st.integers(-20, 20), max_size=60).map(sorted), st.integers(0, 80))
def test_the_best_addition_is_the_cheapest_of_all(slopes: list[int], most: int) -> None:
    costs = [*accumulate(slopes, initial=100)]  # falls and then rises
    most = min(most, len(costs) - 1)
    asked: list[int] = []

    def cost(pods: int) -> int:
        asked.append(pods)
        return costs[pods]

    assert costs[best_addition(cost, most)] == min(costs[: most + 1])
    assert len(asked) <= 4 * most.bit_length() + 5, "it is found in few steps"


CURVE = Arrivals((100.0, 104.0, 110.0), (10.0, 30.0, 60.0))


@pytest.mark.parametrize(("time", "count"), [(0, 10), (100, 10), (102, 20), (104, 30), (107, 45), (110, 60), (200, 60)])
def test_between_looks_arrivals_are_taken_for_even(time: float, count: float) -> None:
    assert CURVE.at(time) == count


def test_many_moments_are_read_off_as_each_alone() -> None:
    moments = [99.0, 100.0, 101.0, 103.0, 104.0, 104.0, 109.0, 110.0, 111.0]
    assert CURVE.at_each(moments) == [CURVE.at(moment) for moment in moments]


@pytest.mark.parametrize(
    ("curve", "window", "rate"),
    [
        (CURVE, 10.0, 5.0),
        (CURVE, 30.0, 5.0),  # no more is known
        (CURVE, 3.0, 1.5),  # a moment counts as ten seconds
        (Arrivals((0.0, 100.0), (0.0, 50.0)), 20.0, 0.5),
        (Arrivals((7.0,), (50.0,)), 30.0, 0.0),
    ],
)
def test_the_rate_is_that_of_the_last_seconds(curve: Arrivals, window: float, rate: float) -> None:
    assert curve.rate(window) == rate


@given(st.lists(st.tuples(st.floats(0.01, 20.0), st.integers(0, 50)), max_size=300), st.sampled_from([32.0, 122.0]))
@example([(1.0, 2)] * 40, 32.0)
@example([(1.0, 2), (50.0, 2)], 32.0)
def test_a_curve_in_little_memory_is_hardly_another(steps: list[tuple[float, int]], span: float) -> None:
    """What is older than the span is forgotten, and looks close together are one."""
    now, added = 0.0, 0.0
    curve = Arrivals((now,), (added,))
    truth = [(now, added)]
    for gap, more in steps:
        now, added = now + gap, added + more
        curve = curve.extend(now, added, span)
        truth.append((now, added))
    assert (curve.times[-1], curve.added) == (now, added)
    assert all(before < after for before, after in pairwise(curve.times))
    assert len(curve.times) <= 2 * POINTS
    assert curve.times[0] == 0.0 or curve.times[0] <= now - span
    assert all(time > now - span for time in curve.times[1:])
    blur = 2 * span / (POINTS - 2)
    whole = Arrivals(*map(tuple, zip(*truth, strict=True)))
    for time, _ in truth:
        if time > curve.times[0]:
            assert whole.at(time - blur) - 1e-6 <= curve.at(time) <= whole.at(time + blur) + 1e-6


def test_looks_as_often_as_one_likes_take_little_memory() -> None:
    curve = Arrivals((0.0,), (0.0,))
    for n in range(1, 2000):
        curve = curve.extend(n / 10, 5.0 * n, 60.0)
        assert len(curve.times) <= 2 * POINTS
    assert curve.rate(30.0) == pytest.approx(50.0, rel=0.05)


@given(st.floats(0, 20), st.floats(0, 60), st.floats(4, 100), st.integers(1, 24))
def test_each_entry_is_due_so_many_seconds_after_it_came(
    rate: float, allowance: float, horizon: float, steps: int
) -> None:
    outlook = look_ahead(CURVE, 7.0, rate, allowance, horizon, steps)
    now, step = 110.0, horizon / steps
    assert (outlook.step, outlook.started) == (step, 7.0)
    came = [now + j * step - allowance for j in range(steps + 1)]
    due = [CURVE.at(time) if time <= now else CURVE.added + rate * (time - now) for time in came]
    assert outlook.due == pytest.approx(due)
    assert outlook.there == pytest.approx([CURVE.added + rate * j * step for j in range(steps + 1)])


def outlook_of(due: list[float], started: float = 0.0, there: float = 100.0, step: float = 1.0) -> Outlook:
    return Outlook(step, due, [there] * len(due), started)


def test_slots_and_pods_that_join_start_one_entry_at_once_and_then_one_per_service_time() -> None:
    outlook = outlook_of([0.0] * 5, step=2.0)
    assert starts_per_step(outlook, 3, 4.0, [], 1, 9.0) == [1.5] * 4
    # Of three slots each; one joins in the middle of the second step, one when it begins, and one too late.
    assert starts_per_step(outlook, 3, 4.0, [3.0, 2.0, 8.0], 3, 4.0) == [1.5, 1.5 + 3.75 + 4.5, 4.5, 4.5]
    assert starts_per_step(outlook, 3, 40.0, [2.0], 3, 4.0) == [0.15, 4.65, 1.65, 1.65], "held slots are slower"


@given(st.floats(0, 30), st.integers(1, 8), st.floats(0.1, 20))
def test_a_pod_has_started_by_a_time_what_it_was_there_for(eta: float, slots: int, service: float) -> None:
    step = 0.5
    capacity = [0.0] * 40
    add_pods(capacity, eta, slots, step, service)
    for n, total in enumerate(accumulate(capacity), 1):
        there = n * step - eta
        assert total == pytest.approx(slots * (1 + there / service) if there > 0 else 0.0, abs=1e-6 * slots)


def test_pods_that_came_late_would_have_started_more_had_they_been_there() -> None:
    """One was there when the oldest entry came, 15 s ago; the others lost 5 s, 6 s and, by clocks that differ, none."""
    fleet = (
        ready("old", created=0.0),
        replace(ready("late", created=90.0), ready_at=100.0),
        replace(ready("skewed", created=108.0), ready_at=104.0),
        Pod("starts", PodState.STARTING, 104.0),
    )
    seen = look(110.0, pods=fleet, waiting=1, oldest_waiting_age=15.0)
    assert headway(take_stock(seen, 120.0), seen) == (1, pytest.approx((5 + 6) / 3))
    unknown = replace(seen, oldest_waiting_age=None)
    assert headway(take_stock(unknown, 120.0), unknown) == (0, 0.0)
    assert headway(take_stock(seen, 120.0), replace(seen, oldest_waiting_age=1.0)) == (3, pytest.approx(1.0))


@pytest.mark.parametrize(
    ("outlook", "free", "each", "expected"),
    [
        (outlook_of([0, 1, 2, 3]), 0, 1, (0, 0)),  # just in time
        (outlook_of([0, 2, 2, 2]), 0, 1, (1, 1)),  # one is a step late
        (outlook_of([2, 2, 2, 2]), 0, 1, (2, 3)),  # two are late by now, and wait for one step and for two
        (outlook_of([2, 2, 2, 2]), 2, 1, (2, 0)),  # late too, but started at once
        (outlook_of([2, 2, 2, 2], started=2), 0, 0, (0, 0)),
        (outlook_of([0, 0, 0, 3]), 0, 0, (3, 0)),  # nobody starts them
        (outlook_of([0, 0, 0, 3]), 3, 0, (0, 0)),
        (outlook_of([0, 0, 4, 4], there=4), 0, 9, (0, 0)),  # no more can start than are there
        (outlook_of([4, 4, 4, 4], there=4), 9, 9, (4, 0)),
        (outlook_of([2, 2, 2, 2], step=5.0), 0, 1, (2, 15)),
        (outlook_of([1, 1, 1, 1]), 1, 0, (1, 0)),
        (outlook_of([5, 5, 5, 5], started=3), 1, 0, (2, 3)),
        (outlook_of([3, 5, 5, 5], started=1), 4, 0, (2, 0)),  # the others are due later
        (outlook_of([4, 5, 5, 5]), 0, 3, (5, 6)),  # of three that start in the second step one is in time
        (outlook_of([0.5, 0.5, 0.5, 3.0], started=1), 0, 0, (2, 0)),  # what is ahead makes up for nothing
        (Outlook(1.0, [0, 0, 6, 6], [2, 9, 9, 9], 0), 5, 1, (2, 2)),  # most slots find nothing yet
    ],
)
def test_late_tasks_and_the_seconds_they_are_overdue(
    outlook: Outlook, free: float, each: float, expected: tuple[float, float]
) -> None:
    capacity, none = [each] * 3, [0.0] * 3
    assert lateness(outlook, free, capacity, none, 0) == expected
    assert is_late(outlook, free, capacity) == any(expected)
    assert lateness(outlook, free, none, capacity, 1) == expected, "as many by pods that would be added"
    assert lateness(outlook, free, none, [each / 2] * 3, 2) == expected


@given(
    st.lists(QUARTERS, min_size=2, max_size=12).map(sorted),
    QUARTERS,
    QUARTERS,
    st.lists(st.integers(0, 8).map(lambda n: n / 4), min_size=11, max_size=11),
    st.lists(QUARTERS, min_size=12, max_size=12).map(sorted),
)
def test_whether_any_is_late_is_what_their_sum_says(
    due: list[float], started: float, free: float, capacity: list[float], ahead: list[float]
) -> None:
    there = [
        max(most, must, started) for most, must in zip(accumulate(ahead, max), [*due, *due[-1:] * 12], strict=False)
    ]
    outlook = Outlook(0.5, due, there[: len(due)], started)
    capacity = capacity[: len(due) - 1]
    none = [0.0] * len(capacity)
    late, overdue = lateness(outlook, free, capacity, none, 0)
    assert is_late(outlook, free, capacity) == (late + overdue > 0)
    more, longer = lateness(outlook, free, capacity, [1.0] * len(capacity), 1)
    assert more <= late and longer <= overdue, "a further pod makes nobody late"

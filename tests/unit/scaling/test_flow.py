"""Counts that a Redis before 7.0 doesn't keep, read off what waits and when the last delivered entry came."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest

from streamqueue.api.spec import Scaling, TargetWait
from streamqueue.scaling import Observation
from streamqueue.scaling.deadline.arrivals import Arrivals
from streamqueue.scaling.deadline.flow import first_flow, next_flow
from streamqueue.simulate.cluster import Cluster, ColdStart

from .play import BentLaw, play


def test_in_a_backlog_the_age_of_the_last_delivered_entry_tells_how_many_were_delivered() -> None:
    first = Observation(now=100.0, known=True, waiting=100, pending=2, last_delivered_age=50.0)
    flow = first_flow(first)
    arrivals = Arrivals((50.0, 100.0), (flow.delivered, flow.added))  # two a second
    # Ten seconds on: the head has moved by 15 s of arrivals, 30 entries; 90 wait, so 20 came.
    then = Observation(now=110.0, known=True, waiting=90, pending=2, last_delivered_age=45.0)
    now = next_flow(flow, arrivals, 0.0, then)
    assert now is not None
    assert now.delivered - flow.delivered == 30
    assert now.added - flow.added == 20
    assert now.acknowledged - flow.acknowledged == 30
    assert now.exact


def seen(**counts: Any) -> Observation:
    return Observation(**{"now": 110.0, "known": True, **counts})


# By t=100 600 entries had been added, of which 500 were delivered and 20 of these pending: two came a second.
BEFORE = first_flow(seen(now=100.0, waiting=100, pending=20, entries_added=600))
ARRIVALS = Arrivals((0.0, 50.0, 100.0), (400.0, 500.0, 600.0))


def follow(**counts: Any) -> tuple[float, float, bool] | None:
    """What is added, delivered, and whether that is exact, after BEFORE."""
    flow = next_flow(BEFORE, ARRIVALS, 0.0, seen(**counts))
    return flow and (flow.added, flow.delivered, flow.exact)


def test_the_first_look_says_how_much_was_delivered_where_it_knows() -> None:
    assert (BEFORE.added, BEFORE.delivered, BEFORE.acknowledged, BEFORE.exact) == (600, 500, 480, True)
    capped = first_flow(seen(waiting=128, waiting_exact=False, waiting_likely=300, entries_added=600))
    assert (capped.added, capped.delivered, capped.exact) == (600, 300, False)
    unlikely = first_flow(seen(waiting=128, waiting_exact=False, waiting_likely=100, entries_added=600))
    assert unlikely.delivered == 472, "at least so many wait"
    assert first_flow(seen(waiting=128, waiting_exact=False)).delivered == 0
    assert not first_flow(seen(waiting=3)).exact, "without the server's counter"


def test_with_the_servers_counter_what_does_not_wait_was_delivered() -> None:
    assert follow(entries_added=640, waiting=90) == (640, 550, True)


@pytest.mark.parametrize(
    ("age", "waiting", "delivered"),
    [
        (30.0, 60, 560),  # added at t=80, when there were 560
        (90.0, 60, 500),  # at t=20: what was delivered stays so
        (5.0, 60, 580),  # at t=105, but at least 60 of 640 wait
        (None, 60, 500),  # nobody knows
    ],
)
def test_where_the_waiting_are_counted_to_a_cap_the_last_delivered_entry_tells(
    age: float | None, waiting: int, delivered: float
) -> None:
    found = follow(entries_added=640, waiting=waiting, waiting_exact=False, last_delivered_age=age)
    assert found == (640, delivered, False)


def test_retries_that_wait_again_have_come_anew() -> None:
    assert follow(entries_added=600, waiting=103, retries=3) == (603, 500, True)
    assert follow(entries_added=600, waiting=98, retries=50) == (600, 502, True), "more was delivered than came back"
    assert follow(entries_added=600, waiting=103, retries=2) is None, "a replay: what was delivered waits again"


def test_counters_that_come_or_go_are_not_followed() -> None:
    """Another server: what it counts is on a scale of its own."""
    assert follow(waiting=100, last_delivered_age=5.0) is None
    assert follow(entries_added=590, waiting=80) is None
    without = first_flow(seen(now=100.0, waiting=100))
    assert next_flow(without, ARRIVALS, 0.0, seen(entries_added=600, waiting=100)) is None


@pytest.mark.parametrize(
    ("counts", "served", "expected"),
    [
        # The last delivered entry was added after our last look: all that was there then is delivered, and what the
        # fleet is thought to have served.
        ({"waiting": 5, "last_delivered_age": 4.0}, 0.0, (105, 100, False)),
        ({"waiting": 5, "last_delivered_age": 4.0}, 130.0, (135, 130, False)),
        # Nothing is known of any delivery: what is in work must have been delivered.
        ({"waiting": 110, "pending": 12}, 50.0, (117, 7, False)),
        ({"waiting": 20}, 50.0, (100, 80, False)),
        # What is done was delivered before.
        ({"waiting": 103}, 50.0, (103, 0, False)),
        # The last delivered entry is an old one that came again.
        ({"waiting": 100, "pending": 12, "last_delivered_age": 59.0}, 0.0, (107, 7, True)),
        # In a backlog, but the waiting are counted to a cap.
        ({"waiting": 60, "waiting_exact": False, "last_delivered_age": 30.0}, 0.0, (120, 60, False)),
    ],
)
def test_without_the_servers_counter_as_little_is_taken_for_delivered_as_there_must_be(
    counts: dict[str, Any], served: float, expected: tuple[float, float, bool]
) -> None:
    before = first_flow(seen(now=100.0, waiting=100, pending=5))
    flow = next_flow(before, Arrivals((50.0, 100.0), (0.0, 100.0)), served, seen(**counts))
    assert flow and (flow.added, flow.delivered, flow.exact) == expected


def test_a_stream_that_begins_anew_is_not_followed() -> None:
    before = first_flow(Observation(now=0.0, known=True, entries_added=500, waiting=3))
    arrivals = Arrivals((0.0,), (before.added,))
    assert next_flow(before, arrivals, 0.0, Observation(now=1.0, known=True, entries_added=4, waiting=4)) is None


def test_the_first_tasks_of_a_new_queue_are_counted_once_without_the_servers_counter() -> None:
    """Until one is delivered, no look tells what was."""
    arrivals = [5.0 + n / 100 for n in range(100)]
    spec = Scaling(max_replicas=200, target=TargetWait(30.0))
    most = []
    for bend in (lambda now: now, lambda now: replace(now, entries_added=None)):
        law = BentLaw(spec, bend=bend)
        play(arrivals, [2.0] * 100, law, Cluster(ColdStart(20.0)))
        most.append(max(decision.replicas for _, decision in law.log))
    assert most[1] == most[0]


def test_arrivals_and_service_times_are_learnt_without_the_servers_counters() -> None:
    dice = random.Random(4)
    arrivals = sorted(dice.random() * 3600 for _ in range(5400))
    services = [dice.expovariate(1 / 4.0) for _ in arrivals]
    law = BentLaw(
        Scaling(max_replicas=40, target=TargetWait(30.0)), bend=lambda seen: replace(seen, entries_added=None)
    )
    play(arrivals, services, law)
    assert law.memory is not None
    assert law.memory.learnt is not None
    assert abs(law.memory.learnt.flow.added / len(arrivals) - 1) < 0.1
    assert 2.8 < law.memory.learnt.service.seconds < 5.2

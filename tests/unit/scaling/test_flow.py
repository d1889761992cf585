"""Counts that a Redis before 7.0 doesn't keep, read off what waits and when the last delivered entry came."""

from __future__ import annotations

import random
from dataclasses import replace

from streamqueue.api.spec import Scaling
from streamqueue.scaling import Observation
from streamqueue.scaling.deadline.arrivals import Arrivals
from streamqueue.scaling.deadline.flow import first_flow, next_flow

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


def test_a_stream_that_begins_anew_is_not_followed() -> None:
    before = first_flow(Observation(now=0.0, known=True, entries_added=500, waiting=3))
    arrivals = Arrivals((0.0,), (before.added,))
    assert next_flow(before, arrivals, 0.0, Observation(now=1.0, known=True, entries_added=4, waiting=4)) is None


def test_arrivals_and_service_times_are_learnt_without_the_servers_counters() -> None:
    dice = random.Random(4)
    arrivals = sorted(dice.random() * 3600 for _ in range(5400))
    services = [dice.expovariate(1 / 4.0) for _ in arrivals]
    law = BentLaw(Scaling(max_replicas=40, target_wait=30.0), bend=lambda seen: replace(seen, entries_added=None))
    play(arrivals, services, law)
    assert law.memory is not None
    assert law.memory.learnt is not None
    assert abs(law.memory.learnt.flow.added / len(arrivals) - 1) < 0.1
    assert 2.8 < law.memory.learnt.service.seconds < 5.2

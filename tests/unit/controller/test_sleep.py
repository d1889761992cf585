"""When a sleeping queue is looked at again, and that nothing which comes meanwhile is missed."""

from __future__ import annotations

import time

import pytest

from streamqueue.controller.endpoints.wake import ASLEEP_INTERVAL, Sleeper, nap
from streamqueue.controller.runtime import Runtime

SOUND = Sleeper("orders", "1-1", soundly=True)


def test_an_entry_that_comes_during_a_round_makes_the_next_one_due_at_once() -> None:
    runtime = Runtime("uid", busy=True, woken=True)
    runtime.rest(60.0)
    assert runtime.due <= time.monotonic()
    runtime.woken = False
    runtime.rest(60.0)
    assert runtime.due > time.monotonic() + 50


def test_a_thousand_sleeping_queues_are_never_looked_at_together() -> None:
    looks = sorted(nap(SOUND, 1.0, f"uid-{n}", 100.0) for n in range(1000))
    assert looks[0] > 0 and looks[-1] <= ASLEEP_INTERVAL
    in_a_tick = [sum(start <= look < start + 0.1 for look in looks) for start in looks]
    assert max(in_a_tick) < 50  # 20 on average


@pytest.mark.parametrize(("among", "longest"), [(1, 5.0), (200, 5.0), (400, 10.0), (1000, 25.0), (100_000, 30.0)])
def test_many_sleeping_queues_are_looked_at_less_often(among: int, longest: float) -> None:
    looks = [nap(SOUND, 1.0, f"uid-{n}", 100.0, among) for n in range(1000)]
    assert longest * 0.9 < max(looks) <= longest


def test_each_queue_keeps_its_time() -> None:
    first = 100.0 + nap(SOUND, 1.0, "uid", 100.0)
    assert abs(nap(SOUND, 1.0, "uid", first + 0.2) - (ASLEEP_INTERVAL - 0.2)) < 1e-6


def test_a_queue_whose_last_pods_are_going_is_looked_at_as_any_other() -> None:
    assert nap(Sleeper("orders", "1-1", soundly=False), 1.0, "uid", 100.0) == 1.0


def test_a_delayed_task_rings() -> None:
    assert nap(Sleeper("orders", "1-1", soundly=True, alarm=0.01), 1.0, "uid", 100.001) <= 0.01


def test_a_paused_queue_is_not_looked_at_all_the_time_because_a_task_is_nearly_due() -> None:
    assert nap(Sleeper("orders", "1-1", soundly=True, alarm=0.0), 1.0, "uid", 100.0) == 1.0

"""When a sleeping queue is looked at again, and that nothing which comes meanwhile is missed."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest

from streamqueue.api.spec import TargetBacklog
from streamqueue.controller.endpoints.wake import ASLEEP_INTERVAL, Sleeper, nap
from streamqueue.controller.round import sleeper
from streamqueue.controller.runtime import Runtime
from streamqueue.controller.status.assess import Facts
from streamqueue.scaling import Decision, Memory, Reason, lead
from streamqueue.streams import Snapshot
from tests.unit.controller.bodies import SPEC, pod

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


QUIET = Snapshot(time=1.8e9, stream_exists=True, group_exists=True, last_delivered_id="1-1")
IDLE, MEMORY = Decision(0, Reason.IDLE, ""), Memory(0.0, 0.0)


def asleep(**facts: Any) -> Sleeper | None:
    return sleeper(SPEC, Facts(**{"snapshot": QUIET, "decision": IDLE} | facts), MEMORY)


def test_a_queue_without_work_sleeps_and_soundly_once_its_pods_are_gone() -> None:
    assert asleep() == Sleeper(SPEC.stream, "1-1", soundly=True)
    assert asleep(pods=[pod()]) == Sleeper(SPEC.stream, "1-1", soundly=False)


@pytest.mark.parametrize("work", ["undelivered", "pending", "due", "outboxed"])
def test_a_queue_with_work_in_hand_is_awake(work: str) -> None:
    assert asleep(snapshot=replace(QUIET, **{work: 1})) is None


@pytest.mark.parametrize(
    "facts",
    [
        {"snapshot": None},
        {"decision": None},
        {"decision": replace(IDLE, replicas=1)},
        {"snapshot": replace(QUIET, last_delivered_id=None)},  # nobody knows from where to listen
    ],
)
def test_a_queue_of_which_less_is_known_or_more_is_wanted_is_awake(facts: dict[str, Any]) -> None:
    assert asleep(**facts) is None


@pytest.mark.parametrize(("early", "alarm"), [(3.0, 3.0), (-3.0, 0.0)])
def test_the_alarm_rings_when_a_pod_has_to_start(early: float, alarm: float) -> None:
    spec = replace(SPEC, scaling=replace(SPEC.scaling, target=TargetBacklog(1)))
    due = replace(QUIET, next_due=lead(spec.scaling, MEMORY.cold) + early)
    found = sleeper(spec, Facts(snapshot=due, decision=IDLE), MEMORY)
    assert found and found.alarm == pytest.approx(alarm)

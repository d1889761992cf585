"""The status shows what is known, and is written at once only where people wait for it."""

from __future__ import annotations

from typing import Any

import pytest

from streamqueue.controller.assess import Facts
from streamqueue.controller.kinds import DEPLOYMENTS
from streamqueue.controller.report import matters, news, status
from streamqueue.controller.store import Holdings
from streamqueue.controller.trouble import Trouble
from streamqueue.scaling import Decision, Reason
from streamqueue.streams import Snapshot
from tests.unit.controller.bodies import owned, queue

DECISION = Decision(3, Reason.STEADY, "3: 5 waiting")


def holdings() -> Holdings:
    deployment = owned("Deployment", spec={"replicas": 3}, status={"replicas": 3, "readyReplicas": 2})
    return Holdings(queue=queue(), owned={DEPLOYMENTS: deployment})


def shown(previous: dict[str, Any] | None = None, **counters: Any) -> dict[str, Any]:
    snapshot = Snapshot(time=0.0, stream_exists=True, group_exists=True, **counters)
    return status(holdings(), Facts(snapshot=snapshot, decision=DECISION), previous or {}, now=1_800_000_000.0)


def test_counters_and_replicas() -> None:
    found = shown(undelivered=5, pending=2, dead_letters=1, oldest_waiting_age=60.0)
    assert (found["lag"], found["pending"], found["deadLetters"]) == (5, 2, 1)
    assert (found["readyReplicas"], found["desiredReplicas"]) == (2, 3)
    assert found["oldestWaitingTime"] == "2027-01-15T07:59:00Z"


def test_unknown_counters_are_absent_not_zero() -> None:
    facts = Facts(redis=Trouble("Unreachable", "no route"))
    found = status(holdings(), facts, {}, now=1_800_000_000.0)
    assert not {"lag", "pending", "deadLetters", "lagKnown"} & found.keys()
    assert found["reason"] == "Unreachable"


def test_a_condition_that_holds_keeps_its_time() -> None:
    before = shown()
    snapshot = Snapshot(time=0.0, stream_exists=True, group_exists=True)
    after = status(holdings(), Facts(snapshot=snapshot, decision=DECISION), before, now=1_900_000_000.0)
    assert [each["lastTransitionTime"] for each in after["conditions"]] == [
        each["lastTransitionTime"] for each in before["conditions"]
    ]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({"undelivered": 5}, {"undelivered": 6}, False),
        ({"undelivered": 0}, {"undelivered": 6}, True),
        ({"pending": 3}, {"pending": 0}, True),
        ({"dead_letters": 1}, {"dead_letters": 2}, True),
        ({"oldest_waiting_age": 1.0}, {"oldest_waiting_age": 9.0}, False),
    ],
)
def test_counters_wait_unless_they_leave_or_reach_zero(
    before: dict[str, Any], after: dict[str, Any], expected: bool
) -> None:
    assert matters(shown(**before), shown(**after)) is expected


def test_a_new_reason_is_written_at_once() -> None:
    before = shown()
    assert matters(before, before | {"reason": "AtMax"})


def test_each_transition_is_news_but_that_a_new_queue_works() -> None:
    well = shown()
    facts = Facts(snapshot=Snapshot(time=0.0, stream_exists=True, group_exists=True), decision=DECISION, reads_on=True)
    warned = status(holdings(), facts, well, now=1_800_000_000.0)
    lost = status(holdings(), Facts(redis=Trouble("Unreachable", "no route")), well, now=1_800_000_000.0)

    assert list(news({}, well)) == []
    assert [event[:2] for event in news(well, warned)] == [("Warning", "ReadsOn")]
    assert ("Warning", "Unreachable", "RedisReachable: no route") in news(well, lost)
    assert ("Normal", "Reachable", "RedisReachable: the server answers") in news(lost, well)

"""The status shows what is known, and is written at once only where people wait for it."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web

from streamqueue.controller.cluster.events import Recorder
from streamqueue.controller.cluster.kube import KubeError
from streamqueue.controller.cluster.store import Holdings
from streamqueue.controller.kinds import DEPLOYMENTS
from streamqueue.controller.status.assess import Facts
from streamqueue.controller.status.report import COUNTER_INTERVAL, Reported, matters, news, report, status
from streamqueue.controller.trouble import Trouble
from streamqueue.scaling import Decision, Reason
from streamqueue.streams import Snapshot
from streamqueue.streams.durability import Durability
from tests.kube.api import answered_by
from tests.unit.controller.bodies import owned, queue

DECISION = Decision(3, Reason.STEADY, "3: 5 waiting")


def holdings() -> Holdings:
    deployment = owned("Deployment", spec={"replicas": 3}, status={"replicas": 3, "readyReplicas": 2})
    return Holdings(queue=queue(), owned={DEPLOYMENTS: deployment})


def shown(previous: dict[str, Any] | None = None, **counters: Any) -> dict[str, Any]:
    snapshot = Snapshot(time=0.0, stream_exists=True, group_exists=True, **counters)
    return status(holdings(), Facts(snapshot=snapshot, decision=DECISION), previous or {}, now=1_800_000_000.0)


def test_counters_and_replicas() -> None:
    found = shown(undelivered=5, pending=2, unacknowledged=9, dead_letters=1, oldest_waiting_age=60.0)
    assert (found["lag"], found["pending"], found["retrying"], found["deadLetters"]) == (5, 2, 7, 1)
    assert (found["readyReplicas"], found["desiredReplicas"], found["replicasSummary"]) == (2, 3, "2/3")
    assert found["oldestWaitingTime"] == "2027-01-15T07:59:00Z"


def test_unknown_counters_are_absent_not_zero() -> None:
    facts = Facts(redis=Trouble("Unreachable", "no route"))
    found = status(holdings(), facts, {}, now=1_800_000_000.0)
    assert not {"lag", "pending", "retrying", "deadLetters", "lagKnown"} & found.keys()
    assert found["reason"] == "Unreachable"
    assert "deadLetters" not in shown(undelivered=5), "read, but for these"


def test_a_warning_of_the_server_stays_until_the_server_was_asked_again() -> None:
    """A new operator looks at the stream first: each of its queues would have two writes, and an event as of news."""

    def said(durability: Durability | None, previous: dict[str, Any]) -> dict[str, Any]:
        return status(holdings(), replace(looked(), durability=durability), previous, now=1_800_000_000.0)

    evicts = said(Durability(eviction_policy="allkeys-lru"), {})
    assert "RedisMayLoseWork" in {each["type"] for each in evicts["conditions"]}
    assert said(None, evicts) == evicts
    assert said(Durability(eviction_policy="noeviction"), evicts)["conditions"] == shown()["conditions"]
    assert said(None, shown()) == shown()
    refused = status(holdings(), Facts(rejected=Trouble("Invalid", "no")), evicts, now=1_800_000_000.0)
    assert "RedisMayLoseWork" not in {each["type"] for each in refused["conditions"]}, "it leads to no server"


def test_a_fleet_that_is_yet_to_come_has_no_replicas_and_the_spec_that_was_looked_at_is_named() -> None:
    found = status(Holdings(queue=queue()), Facts(), {}, now=1_800_000_000.0)
    assert (found["replicas"], found["readyReplicas"], found["observedGeneration"]) == (0, 0, 1)
    assert status(Holdings(queue=queue()), Facts(generation=7), {}, now=1_800_000_000.0)["observedGeneration"] == 7


@pytest.mark.parametrize("trouble", ["unwritten", "rejected", "conflict", "redis", "stream"])
def test_without_a_decision_the_trouble_is_the_reason(trouble: str) -> None:
    facts = Facts(**{trouble: Trouble("Trouble", "what it is")})  # type: ignore[arg-type]
    found = status(holdings(), facts, {}, now=1_800_000_000.0)
    assert (found["reason"], found["message"]) == ("Trouble", "what it is")


def test_what_the_api_server_has_not_taken_goes_before_what_was_decided() -> None:
    facts = Facts(decision=DECISION, unwritten=Trouble("Refused", "no"))
    assert status(holdings(), facts, {}, now=1_800_000_000.0)["reason"] == "Refused"
    assert shown()["reason"] == "Steady"


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
        ({"undelivered": 0}, {"undelivered": 1}, True),
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

    unread = status(holdings(), Facts(decision=DECISION), well, now=1_800_000_000.0)

    assert list(news({}, well)) == []
    assert [event[1] for event in news(well, unread)] == []
    assert [event[:2] for event in news(well, warned)] == [("Warning", "ReadsOn")]
    assert ("Warning", "Unreachable", "RedisReachable: no route") in news(well, lost)
    assert ("Normal", "Reachable", "RedisReachable: the server answers") in news(lost, well)


class ApiServer:
    """Takes statuses, or answers with `refusal`."""

    def __init__(self) -> None:
        self.written: list[dict[str, Any]] = []
        self.refusal = 0

    async def answer(self, request: web.Request) -> web.Response:
        body = await request.json()
        if self.refusal:
            return web.json_response({"message": "no"}, status=self.refusal)
        self.written.append(body["status"])
        body["metadata"]["resourceVersion"] = str(10 * len(self.written))
        return web.json_response(body)


def looked(**counters: Any) -> Facts:
    return Facts(snapshot=Snapshot(time=0.0, stream_exists=True, group_exists=True, **counters), decision=DECISION)


async def test_counters_are_written_now_and_then_and_what_matters_at_once() -> None:
    api, held, reported = ApiServer(), holdings(), Reported()
    async with answered_by(api.answer) as kube:

        async def writes(facts: Facts) -> int:
            before = len(api.written)
            await report(kube, Recorder(kube), held, facts, reported)
            return len(api.written) - before

        assert await writes(looked(undelivered=5)) == 1
        assert await writes(looked(undelivered=6)) == 0
        reported.at -= COUNTER_INTERVAL
        assert await writes(looked(undelivered=5)) == 0, "nothing is new"
        assert await writes(looked(undelivered=7)) == 1
        assert await writes(looked(undelivered=0)) == 1
        assert [each["lag"] for each in api.written] == [5, 7, 0]
        assert held.queue
        held.queue["status"], reported = api.written[-1], Reported()
        assert await writes(looked(undelivered=0)) == 0, "a new operator goes by what the last one wrote"


async def test_a_status_that_somebody_overwrote_is_written_again() -> None:
    """As the last leader's late write does: nothing else would change what an idle queue shows."""
    api, held, reported = ApiServer(), holdings(), Reported()

    async with answered_by(api.answer) as kube:

        async def written_again(version: int, shown: dict[str, Any]) -> bool:
            """After the watch has shown this status."""
            held.queue = queue(version=version, status=shown)
            reported.at -= COUNTER_INTERVAL
            before = len(api.written)
            await report(kube, Recorder(kube), held, looked(), reported)
            return len(api.written) > before

        await report(kube, Recorder(kube), held, looked(), reported)
        ours = api.written[0]
        late = ours | {"reason": "Unreachable"}
        assert not await written_again(9, late), "what our write replaced"
        assert not await written_again(11, ours), "somebody's edit of the spec"
        assert await written_again(12, late)
        assert api.written[1] == ours
        assert not await written_again(19, late), "what our second write replaced"


@pytest.mark.parametrize(("refusal", "raises"), [(404, False), (409, False), (500, True)])
async def test_a_status_that_is_not_taken_is_no_news_and_written_again(
    refusal: int, raises: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """404 and 409: the queue was deleted meanwhile."""
    api, reported, lost = ApiServer(), Reported(), Facts(redis=Trouble("Unreachable", "no route"))
    async with answered_by(api.answer) as kube:
        recorder = Recorder(kube)
        api.refusal = refusal
        with pytest.raises(KubeError) if raises else nullcontext():
            await report(kube, recorder, holdings(), lost, reported)
        assert "Unreachable" not in caplog.text
        api.refusal = 0
        await report(kube, recorder, holdings(), lost, reported)
    assert len(api.written) == 1 and "shop/orders Unreachable: " in caplog.text

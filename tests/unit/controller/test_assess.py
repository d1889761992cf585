"""Conditions say what is wrong, where, and what to do; unknown is said as unknown."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from streamqueue.api.conditions import Condition
from streamqueue.api.spec import Backoff, Delivery, Handler, Protocol, QueueSpec, Requeue, Retention, RetentionPolicy
from streamqueue.api.timestamps import epoch
from streamqueue.controller.endpoints.handing_on import HandingOn
from streamqueue.controller.status.assess import Facts, conditions, unmade
from streamqueue.controller.trouble import Trouble
from streamqueue.scaling import Decision, Reason
from streamqueue.streams import Snapshot
from tests.unit.controller.bodies import CREATED, SPEC, condition, container, owned, pod

BACKOFF = container(state={"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}})


def snapshot(**counters: Any) -> Snapshot:
    return Snapshot(time=0.0, stream_exists=True, group_exists=True, **counters)


def said(facts: Facts) -> dict[str, Condition]:
    return {each.type: each for each in conditions(facts)}


def test_all_is_well() -> None:
    facts = Facts(spec=SPEC, snapshot=snapshot(), decision=Decision(1, Reason.STEADY, "1"))
    assert {kind: each.status for kind, each in said(facts).items()} == {
        "Accepted": True,
        "RedisReachable": True,
        "Ready": True,
        "ScalingActive": True,
    }


def test_an_unread_server_is_unknown_not_well() -> None:
    found = said(Facts(spec=SPEC))
    assert found["RedisReachable"].status is None
    assert found["Ready"].status is None


def test_the_first_cause_is_what_ready_names() -> None:
    facts = Facts(spec=SPEC, rejected=Trouble("Invalid", "spec.stream: …"), redis=Trouble("Unreachable", "…"))
    assert (said(facts)["Ready"].status, said(facts)["Ready"].reason) == (False, "Invalid")
    assert said(facts)["Accepted"].status is False


def test_a_list_instead_of_a_stream_is_not_the_servers_fault() -> None:
    found = said(Facts(spec=SPEC, stream=Trouble("WrongType", "the key holds another type than a stream")))
    assert found["RedisReachable"].status is True
    assert found["Ready"].reason == "WrongType"


def test_a_server_that_cant_be_read_or_written_to_stops_scaling_and_says_so() -> None:
    decision = Decision(3, Reason.UNKNOWN, "3: the stream can't be read")
    found = said(Facts(spec=SPEC, redis=Trouble("Unreachable", "no route"), decision=decision))
    assert (found["RedisReachable"].status, found["ScalingActive"].status) == (False, False)
    unwritten = Trouble("NotWritten", "the API server is away")
    found = said(Facts(spec=SPEC, unwritten=unwritten, decision=Decision(3, Reason.STEADY, "3")))
    assert (found["ScalingActive"].status, found["ScalingActive"].reason) == (False, "NotWritten")


def test_one_working_pod_keeps_the_queue_ready_beside_a_failing_one() -> None:
    failing, ready = pod("a", containerStatuses=[BACKOFF]), pod("b", conditions=[condition("Ready", "True")])
    assert said(Facts(spec=SPEC, snapshot=snapshot(), pods=[failing]))["Ready"].reason == "ImagePull"
    assert said(Facts(spec=SPEC, snapshot=snapshot(), pods=[failing, pod("c")]))["Ready"].reason == "ImagePull"
    found = said(Facts(spec=SPEC, snapshot=snapshot(), pods=[failing, ready]))
    assert found["Ready"].status is True
    assert (found["PodsFailing"].status, found["PodsFailing"].message) == (True, "1 pod(s): pod a: no such image")


def test_a_queue_whose_pods_never_become_ready_is_not_ready() -> None:
    """For a volume that isn't there, or a handler that listens elsewhere, the kubelet waits without a word."""
    waits = pod("a", containerStatuses=[container(state={"waiting": {"reason": "ContainerCreating"}})])
    facts = Facts(spec=SPEC, snapshot=snapshot(), pods=[waits], now=epoch(CREATED) + 100, patience=100.0)
    assert said(facts)["Ready"].status is True
    found = said(replace(facts, now=facts.now + 1))
    assert (found["Ready"].status, found["Ready"].reason) == (False, "NotReady")
    assert found["PodsFailing"].message.startswith("1 pod(s): pod a: container handler isn't there yet")
    ready = pod("b", conditions=[condition("Ready", "True")])
    assert said(replace(facts, pods=[waits, ready], now=facts.now + 1))["Ready"].status is True


def test_a_worker_whose_readiness_probe_fails_works_nevertheless() -> None:
    """Such as one that its task keeps from answering."""
    busy = pod("a", containerStatuses=[container(state={"running": {"startedAt": CREATED}}, started=True)])
    found = said(Facts(spec=SPEC, snapshot=snapshot(), pods=[busy], now=epoch(CREATED) + 3600))
    assert (found["Ready"].status, found["PodsFailing"].reason) == (True, "ReadinessProbe")


def test_a_pod_that_is_ready_between_two_crashes_is_none_that_works() -> None:
    status = {"lastState": {"terminated": {"exitCode": 1}}, "restartCount": 3}
    running = container(state={"running": {"startedAt": CREATED}}, **status)
    ready = pod("a", conditions=[condition("Ready", "True")], containerStatuses=[running])
    facts = Facts(spec=SPEC, snapshot=snapshot(), pods=[ready], now=epoch(CREATED) + 30)
    assert said(facts)["Ready"].reason == "CrashLoop"
    facts.now += 60
    assert said(facts)["Ready"].status is True


def test_stuck_entries_of_a_shared_stream_need_a_worker_that_claims() -> None:
    stuck = snapshot(groups=2, pending=1, oldest_pending_age=SPEC.delivery.visibility_timeout + 1)
    assert "requeue: all-groups" in said(Facts(spec=SPEC, snapshot=stuck))["RequeueNeedsWorker"].message
    claiming = replace(SPEC, handler=Handler("image", Protocol.SDK))
    assert "all-groups" not in said(Facts(spec=claiming, snapshot=stuck))["RequeueNeedsWorker"].message
    assert "RequeueNeedsWorker" not in said(Facts(spec=SPEC, snapshot=replace(stuck, groups=1)))
    fresh = snapshot(groups=2, pending=1, oldest_pending_age=1.0)
    assert "RequeueNeedsWorker" not in said(Facts(spec=SPEC, snapshot=fresh))
    copied = replace(SPEC, delivery=Delivery(requeue=Requeue.ALL_GROUPS))
    assert "RequeueNeedsWorker" not in said(Facts(spec=copied, snapshot=stuck))


def trimmed(**limit: Any) -> QueueSpec:
    return replace(SPEC, retention=Retention(RetentionPolicy.ACKNOWLEDGED, **limit))


# An entry of 1,000 s ago is the first that "audit" needs, and with one before it, which stays, all that there is.
HELD = replace(
    snapshot(length=12, first_id="1699999999000-0", kept_id="1700000000000-0", trim_blockers=(SPEC.group, "audit")),
    time=1_700_001_000.0,
)


@pytest.mark.parametrize(
    ("limit", "said_so"),
    [({"max_length": 10}, True), ({"max_length": 11}, False), ({"max_age": 900.0}, True), ({"max_age": 1100.0}, False)],
)
def test_another_group_that_keeps_what_retention_would_remove_is_named(limit: Any, said_so: bool) -> None:
    warning = said(Facts(spec=trimmed(**limit), snapshot=HELD)).get("TrimBlocked")
    assert (warning is not None) is said_so
    assert warning is None or "audit" in warning.message
    assert "TrimBlocked" not in said(Facts(spec=SPEC, snapshot=HELD)), "trimming wasn't asked for"
    alone = replace(HELD, trim_blockers=(SPEC.group,))
    assert "TrimBlocked" not in said(Facts(spec=trimmed(**limit), snapshot=alone)), "it is no other"


def test_another_group_that_is_a_moment_behind_blocks_nothing() -> None:
    """There are entries to trim before those that it needs: with each of its reads the warning would come and go."""
    behind = replace(HELD, kept_id=None)
    assert "TrimBlocked" not in said(Facts(spec=trimmed(max_length=10, max_age=900.0), snapshot=behind))


def test_an_id_that_a_producer_made_up_has_no_age() -> None:
    assert "TrimBlocked" not in said(Facts(spec=trimmed(max_age=900.0), snapshot=replace(HELD, kept_id="5-1")))


def test_dead_letters_that_leave_no_room_for_more_are_told() -> None:
    """None is dropped: the tasks stay pending, which nobody would see."""
    few = replace(SPEC, delivery=Delivery(dead_letter_max_length=2))
    room, full = (said(Facts(spec=few, snapshot=snapshot(dead_letters=count)))["DeadLetters"] for count in (1, 2))
    assert (room.reason, full.reason) == ("DeadLettered", "DeadLettersFull")
    assert "stay pending" in full.message
    assert "stay pending" not in room.message


def test_warnings_are_there_only_while_they_hold() -> None:
    assert "DeadLetters" in said(Facts(spec=SPEC, snapshot=snapshot(dead_letters=2)))
    assert "DeadLetters" not in said(Facts(spec=SPEC, snapshot=snapshot(dead_letters=0)))


def test_each_warning_has_the_status_of_bad_news() -> None:
    unplaced = pod("a", conditions=[condition("PodScheduled", "False", "Unschedulable", "0/1 nodes")])
    facts = Facts(
        spec=trimmed(max_length=10),
        snapshot=replace(HELD, groups=2, oldest_pending_age=301.0, dead_letters=1),
        decision=Decision(2, Reason.PINNED, "2"),
        pods=[unplaced],
        unmade=Trouble("FailedCreate", "exceeded quota"),
        shared_consumers=True,
        reads_on=True,
    )
    found = said(facts)
    assert {kind: each.status for kind, each in found.items() if kind not in said(Facts())} == {
        "ConsumersShared": True,
        "DeadLetters": True,
        "DrainsOnSIGTERM": False,
        "Pinned": True,
        "PodsFailing": True,
        "PodsUnschedulable": True,
        "RequeueNeedsWorker": True,
        "TrimBlocked": True,
    }
    assert found["PodsFailing"].reason == found["Ready"].reason == "FailedCreate"
    assert found["PodsUnschedulable"].message == "1 pod(s): 0/1 nodes"
    assert found["DeadLetters"].message.startswith("1 task(s) failed 5 times or were refused: ")
    assert found["RequeueNeedsWorker"].message.startswith("the stream has 2 groups")
    assert said(Facts(spec=SPEC))["ScalingActive"].status is False, "nothing was decided"


def test_tasks_that_a_producer_trimmed_are_counted_and_the_cure_is_named() -> None:
    lost = said(Facts(spec=SPEC, snapshot=snapshot(), trimmed=7))["TrimmedByProducer"]
    assert (lost.status, lost.reason) == (True, "UndeliveredTrimmed")
    assert "7 task(s)" in lost.message and "MAXLEN" in lost.message and "spec.retention" in lost.message
    held = snapshot(oldest_pending_id="5-0", first_id="9-0", last_deleted_id="0-0")
    at_risk = said(Facts(spec=SPEC, snapshot=held))["TrimmedByProducer"]
    assert (at_risk.status, at_risk.reason) == (True, "PendingTrimmed") and "MAXLEN" in at_risk.message
    assert "TrimmedByProducer" not in said(Facts(spec=SPEC, snapshot=snapshot()))


def test_results_that_get_nowhere_are_named_with_their_stream() -> None:
    why = Trouble("WrongType", "the key holds another type than a stream")
    facts = Facts(spec=SPEC, snapshot=snapshot(outboxed=7), stuck={"index": why})
    found = said(facts)["ResultsStuck"]
    assert (found.status, found.reason) == (True, "WrongType")
    assert "7 result(s)" in found.message and "stream index takes none: the key holds" in found.message
    both = Facts(spec=SPEC, snapshot=snapshot(outboxed=7), stuck={"search": why, "index": why})
    assert "stream index (and for 1 more) takes none" in said(both)["ResultsStuck"].message
    assert "ResultsStuck" not in said(Facts(spec=SPEC, snapshot=snapshot(outboxed=7)))


def test_a_stream_that_takes_nothing_for_a_moment_is_no_news() -> None:
    failing = {"index": Trouble("Timeout", "…"), "search": Trouble("Timeout", "…")}
    memory = HandingOn()

    def note(failing: dict[str, Trouble], now: float) -> dict[str, Trouble]:
        memory.failing = failing
        return memory.note(now)

    assert note(failing, 100.0) == {}
    assert note(failing, 109.9) == {}
    assert note({"index": failing["index"]}, 110.0) == {"index": failing["index"]}
    assert note(failing, 111.0) == {"index": failing["index"]}, "search had taken some meanwhile"
    assert note({}, 112.0) == {} and note(failing, 113.0) == {}


@pytest.mark.parametrize(
    ("kind", "status", "is_said"),
    [("ReplicaFailure", "True", True), ("ReplicaFailure", "False", False), ("Progressing", "True", False)],
)
def test_pods_that_the_cluster_will_not_have_are_told_of(kind: str, status: str, is_said: bool) -> None:
    deployment = owned("Deployment", status={"conditions": [condition(kind, status, message="exceeded quota")]})
    told = unmade(deployment)
    assert (told is not None) is is_said
    assert told is None or "exceeded quota" in told.message
    assert unmade(None) is None


def test_a_deployment_that_waits_for_its_last_pod_starts_none() -> None:
    """`kubectl delete deployment --cascade=foreground`: until a task of hours is over."""
    deployment = owned("Deployment")
    assert unmade(deployment) is None
    deployment["metadata"] |= {"deletionTimestamp": CREATED, "finalizers": ["orphan"]}
    assert unmade(deployment) is None, "which takes a moment"
    deployment["metadata"]["finalizers"] = ["foregroundDeletion"]
    told = unmade(deployment)
    assert told and "its last pod" in told.message


@pytest.mark.parametrize(
    ("protocol", "more", "named"),
    [
        (Protocol.REDIS, {"results_ttl": 60.0}, ["results"]),
        (Protocol.REDIS, {"delivery": Delivery(backoff=Backoff(5.0))}, ["delivery.backoff"]),
        (
            Protocol.REDIS,
            {"results_ttl": 60.0, "delivery": Delivery(backoff=Backoff(5.0))},
            ["results", "delivery.backoff"],
        ),
        (Protocol.SDK, {"handler": Handler("image", Protocol.SDK, batch=10)}, ["handler.batch"]),
        (Protocol.SDK, {"results_ttl": 60.0, "delivery": Delivery(backoff=Backoff(5.0))}, []),
        (Protocol.HTTP, {"results_ttl": 60.0, "delivery": Delivery(backoff=Backoff(5.0))}, []),
        (Protocol.REDIS, {"handler": Handler("image", batch=10)}, []),
    ],
)
def test_a_field_that_does_nothing_is_named(protocol: Protocol, more: dict[str, Any], named: list[str]) -> None:
    spec = replace(SPEC, **{"handler": Handler("image", protocol), **more})
    found = said(Facts(spec=spec)).get("FieldsIgnored")
    assert [clause.split()[0] for clause in found.message.split("; ")] == named if found else not named

"""Does the operator look at the queue, and does it take it?"""

from __future__ import annotations

from typing import Any

import pytest

from streamqueue.cli.doctor.checks import diagnose
from streamqueue.streams.durability import Durability
from tests.unit.cli.build import cluster, condition, facts, lease, only, queue, rfc3339, stream


@pytest.mark.parametrize("leases", [(lease(renewed_ago=120),), (lease(holder=""),), ()])
def test_operator_down_or_not_leader(leases: tuple[dict[str, object], ...]) -> None:
    finding = only(facts(cluster=cluster(leases=leases)))
    assert finding.check == "operator-down"
    assert "-l app.kubernetes.io/name=streamqueue" in finding.next, "the Deployment's name is the release's"


def test_who_led_last_and_since_when_it_does_not_is_said() -> None:
    def cause(*leases: dict[str, Any]) -> str:
        return only(facts(cluster=cluster(leases=leases))).cause

    assert cause(lease(27)).endswith("streamqueue-1 last renewed its lease 27s ago")
    assert "kubectl logs -n streamqueue-system -l" in only(facts(cluster=cluster(leases=(lease(27),)))).next
    assert "streamqueue-2 last" in cause(lease(300), lease(100, "streamqueue-2"), lease(200))
    assert cause(lease(holder="")).startswith("no operator leads")
    assert cause().startswith("no operator has ever led here")
    for held_now in ((lease(25),), (lease(120), lease())):  # clocks differ; another release's may be of the past
        assert diagnose(facts(cluster=cluster(leases=held_now))) == []


def test_leases_that_may_not_be_read_say_nothing() -> None:
    assert diagnose(facts(cluster=cluster(leases=None))) == []


def test_a_queue_that_the_operator_does_not_look_at_any_more() -> None:
    """Its status says what it said when the namespace was watched: Ready, with so many workers."""
    finding = only(facts(cluster=cluster(looked_at=False)))
    assert finding.check == "not-reported" and "watchNamespaces" in finding.next
    new = queue()
    new["metadata"]["creationTimestamp"] = rfc3339(3)
    assert diagnose(facts(cluster=cluster(queue=new, looked_at=False))) == []


def test_a_deleted_queue_that_finalizers_hold() -> None:
    going = queue()
    going["metadata"]["deletionTimestamp"] = rfc3339(3)
    finding = only(facts(cluster=cluster(queue=going, looked_at=False)))
    assert finding.check == "not-reported" and "finalizers" in finding.next


def test_a_change_the_operator_has_not_looked_at() -> None:
    assert only(facts(cluster=cluster(queue=queue(observedGeneration=1)))).check == "not-reported"
    changed, created = queue(observedGeneration=1), queue(observedGeneration=1)
    assert only(facts(cluster=cluster(queue=changed))).cause.endswith("since it was changed, 10m ago")
    again = {"manager": "kubectl-edit", "operation": "Update", "time": rfc3339(3)}
    changed["metadata"]["managedFields"].append(again)
    assert diagnose(facts(cluster=cluster(queue=changed))) == []
    del created["metadata"]["managedFields"]
    assert only(facts(cluster=cluster(queue=created))).cause.endswith("1h ago")


def test_what_the_operator_refuses_is_passed_on() -> None:
    conditions = [condition("Accepted", "False", "Duplicate", "queue shop/other reads this stream")]
    finding = only(facts(cluster=cluster(queue=queue(conditions=conditions))))
    assert "Duplicate: queue shop/other reads this stream" in finding.cause
    assert finding.next == "kubectl edit sq -n shop orders"


@pytest.mark.parametrize(
    ("reachable", "reason", "check"),
    [
        (("True", "Reachable"), "NameConflict", "not-ready"),
        (("True", "Reachable"), "CrashLoop", None),  # the pods tell
        (("False", "Unreachable"), "Unreachable", None),  # and so does the way to Redis from here
        (("False", "SecretMissing"), "SecretMissing", "secret"),
    ],
)
def test_why_a_queue_is_not_ready_is_said_once(reachable: tuple[str, str], reason: str, check: str | None) -> None:
    conditions = [condition("RedisReachable", *reachable), condition("Ready", "False", reason, "why")]
    found = diagnose(facts(cluster=cluster(queue=queue(conditions=conditions))))
    assert [finding.check for finding in found] == ([check] if check else [])
    assert all(
        finding.cause == f"the operator says {reason}: {'why' if check == 'not-ready' else 'said'}" for finding in found
    )


def test_warnings_that_no_check_knows_are_passed_on() -> None:
    conditions = [condition("DrainsOnSIGTERM", "False", "ReadsOn", "a pod read on"), condition("Ready", "True", "Ok")]
    finding = only(facts(cluster=cluster(queue=queue(conditions=conditions))))
    assert finding.check == "condition" and finding.warning
    assert finding.cause == "the operator says DrainsOnSIGTERM=False: a pod read on"
    assert finding.next == "streamqueue status orders"
    unknown = queue(conditions=[condition("DrainsOnSIGTERM", "Unknown", "NotRead")])
    assert diagnose(facts(cluster=cluster(queue=unknown))) == []


def test_a_server_that_may_lose_work_is_told_of_once() -> None:
    evicts = queue(conditions=[condition("RedisMayLoseWork", "True", "EvictsKeys")])
    seen = stream(server=Durability("allkeys-lru", True))
    assert only(facts(cluster=cluster(queue=evicts), stream=seen)).check == "eviction"
    full = queue(conditions=[condition("RedisMayLoseWork", "True", "MemoryNearlyFull")])
    assert only(facts(cluster=cluster(queue=full))).check == "condition", "how full it is, only the operator looks"


@pytest.mark.parametrize(
    "one",
    [condition("ScalingActive", "False", "NotWritten"), condition("PodsFailing", "True", "FailedCreate")],
    ids=["writes", "pods"],
)
def test_what_the_cluster_will_not_have_is_told_where_some_pods_work(one: dict[str, Any]) -> None:
    """A quota that is used up lets no more come; those that are there work."""
    ready = condition("Ready", "True", "Working")
    finding = only(facts(cluster=cluster(queue=queue(conditions=[ready, one]))))
    assert finding.check == "condition" and f"{one['type']}={one['status']}: said" in finding.cause
    ready = condition("Ready", "False", "FailedCreate")
    failing = condition("PodsFailing", "True", "FailedCreate")
    assert only(facts(cluster=cluster(queue=queue(conditions=[ready, failing])))).check == "not-ready"

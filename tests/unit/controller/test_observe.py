"""What Redis and the cluster say, in one Observation."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from streamqueue.api.spec import Handler, Scaling, TargetBacklog
from streamqueue.api.timestamps import epoch
from streamqueue.controller.cluster.store import Holdings
from streamqueue.controller.kinds import DEPLOYMENTS
from streamqueue.controller.observe import observe, present, request
from streamqueue.controller.pods.consumers import Attribution
from streamqueue.scaling import Observation, PodState
from streamqueue.streams import LagRule, Snapshot
from tests.unit.controller.bodies import CREATED, SPEC, condition, container, owned, pod, queue


def seen(held: Holdings | None = None, **counters: Any) -> Observation:
    snapshot = Snapshot(time=1_800_000_000.0, stream_exists=True, group_exists=True, **counters)
    return observe(held or Holdings(queue=queue()), snapshot, Attribution({}, ()), now=10.0, clock_offset=0.0)


def test_of_an_unread_server_what_the_cluster_says_is_known() -> None:
    status = {"replicas": 3, "updatedReplicas": 1}
    held = Holdings(queue=queue(), owned={DEPLOYMENTS: owned("Deployment", spec={"replicas": 2}, status=status)})
    found = observe(held, None, Attribution({}, ()), now=1.0, clock_offset=0.0)
    assert (found.known, found.replicas, found.rollout, found.created) == (False, 2, True, 3)


def test_tasks_whose_time_has_come_wait_like_any_other() -> None:
    found = seen(undelivered=2, due=3, delayed_due=1, entries_added=7)
    assert (found.waiting, found.retries, found.entries_added) == (5, 2, 8)


def test_a_count_that_stopped_is_completed_by_the_servers_own_counters() -> None:
    cut = {"undelivered": 5, "lag_rule": LagRule.SATURATED, "entries_added": 100, "entries_read": 70}
    cut |= {"due": 2, "length": 50}
    assert (seen(**cut).waiting, seen(**cut).waiting_exact, seen(**cut).waiting_likely) == (7, False, 32)
    assert seen(**{**cut, "length": 20}).waiting_likely == 22, "no more than there are"
    for known in ({"lag_rule": LagRule.COUNTED}, {"entries_added": None}, {"entries_read": None}):
        assert seen(**{**cut, **known}).waiting_likely is None


@pytest.mark.parametrize(
    ("handler", "scaling", "cap"),
    [
        (Handler("image", concurrency=4, batch=3), Scaling(max_replicas=5), 61),
        (Handler("image", concurrency=4), Scaling(max_replicas=5, target=TargetBacklog(100)), 501),
    ],
)
def test_as_many_are_counted_as_the_fleet_could_take_and_one_more(handler: Handler, scaling: Scaling, cap: int) -> None:
    assert request(Holdings(queue=queue()), replace(SPEC, handler=handler, scaling=scaling)).cap == cap


def test_parked_tasks_keep_no_worker() -> None:
    found = seen(parked=3, next_due=60.0)
    assert (found.waiting, found.pending) == (0, 0)


def test_a_full_outbox_is_work_in_hand_for_one_worker() -> None:
    assert (seen(outboxed=0).pending, seen(outboxed=500).pending, seen(pending=3, outboxed=2).pending) == (0, 1, 4)


def test_ids_that_are_no_times_have_no_age() -> None:
    assert seen(last_delivered_id="1799999990000-0").last_delivered_age == 10.0
    assert seen(last_delivered_id="1768464000000-0").last_delivered_age == 365 * 86400.0
    assert seen(last_delivered_id="0-0").last_delivered_age is None
    assert seen(last_delivered_id="17-1").last_delivered_age is None
    assert seen(last_delivered_id="1800000001000-0").last_delivered_age == 0.0, "by a producer's clock"


def test_evicted_pods_are_no_pods() -> None:
    held = Holdings(queue=queue(), pods={"a": pod("a", phase="Failed"), "b": pod("b", uid="p2")})
    assert [each.name for each in seen(held).pods] == ["b"]
    assert [each["metadata"]["name"] for each in present(held)] == ["b"], "what conditions and metrics are about"


def test_a_pod_that_is_there_long_after_its_grace_leaves_its_room_to_others() -> None:
    """Its node is gone: it would be terminating, and count against maxReplicas, for as long as the node is listed."""
    going = pod("a", conditions=[condition("Ready", "False")])
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:10:00Z"

    def names(after_its_grace: float) -> list[str]:
        now = epoch("2026-01-01T00:10:00Z") + after_its_grace
        held = Holdings(queue=queue(), pods={"a": going, "b": pod("b", uid="p2")})
        found = observe(held, None, Attribution({}, ()), now=now - 7.0, clock_offset=-7.0)
        return [each.name for each in found.pods]

    assert (names(-10), names(60), names(61)) == (["a", "b"], ["a", "b"], ["b"])
    going["status"]["conditions"].append(condition("ContainersReady", "True"))
    assert names(-10) == ["b"], "the node controller says that its node doesn't answer"
    going["status"]["conditions"][0]["reason"] = "ReadinessGatesNotReady"
    assert names(-10) == ["a", "b"], "the kubelet's word"


def test_a_pod_whose_worker_has_ended_leaves_its_room_to_others() -> None:
    held = Holdings(queue=queue(), pods={"a": pod("a"), "b": pod("b", uid="p2")})
    found = observe(held, None, Attribution({}, ()), now=1.0, clock_offset=0.0, ended={"a"})
    assert [each.name for each in found.pods] == ["b"]


def test_a_pod_that_was_taken_from_its_replicaset_is_none_of_the_fleet() -> None:
    """By another pod-template-hash, as to look into it: a new one came in its place, and is taken in its stead."""
    taken = pod("a")
    del taken["metadata"]["ownerReferences"]
    held = Holdings(queue=queue(), pods={"a": taken, "b": pod("b", uid="p2")})
    assert [each.name for each in seen(held).pods] == ["b"]


def test_the_pods_that_a_deployment_left_are_the_count_until_another_has_them() -> None:
    """Made with fewer replicas, it would end any of them, busy or not."""
    going, earlier = pod("c", uid="p3"), pod("d", uid="p4")
    going["metadata"]["deletionTimestamp"] = CREATED
    earlier["metadata"]["creationTimestamp"] = "2025-12-31T23:59:59Z"  # of an earlier queue of this name
    pods = {"a": pod("a"), "b": pod("b", uid="p2"), "c": going, "d": earlier}
    assert seen(Holdings(queue=queue(), pods=pods)).replicas == 2
    stopped = owned("Deployment", spec={"replicas": 0})
    assert seen(Holdings(queue=queue(), pods=pods, owned={DEPLOYMENTS: stopped})).replicas == 0


def test_since_when_a_mark_is_shown_is_told() -> None:
    held = Holdings(queue=queue(), pods={"a": pod("a"), "b": pod("b", uid="p2")}, marked_since={"b": 7.0})
    assert [each.marked_since for each in seen(held).pods] == [None, 7.0]


def test_who_was_told_to_take_no_more_is_told() -> None:
    held = Holdings(queue=queue(), pods={"a": pod("a"), "b": pod("b", uid="p2")})
    found = observe(held, None, Attribution({}, ()), now=1.0, clock_offset=0.0, cordoned={"b"})
    assert [each.cordoned for each in found.pods] == [False, True]


def test_pods_of_an_older_template_are_a_rollout() -> None:
    def holding(**status: int) -> Holdings:
        return Holdings(queue=queue(), owned={DEPLOYMENTS: owned("Deployment", spec={"replicas": 2}, status=status)})

    assert seen(holding(replicas=3, updatedReplicas=1)).rollout is True
    assert seen(holding(replicas=2, updatedReplicas=2)).rollout is False
    assert seen(holding(replicas=2, updatedReplicas=2)).replicas == 2
    assert seen(holding(replicas=3, updatedReplicas=3)).created == 3
    assert seen(holding(replicas=1)).rollout is True, "none of the new template yet"
    assert seen(holding()).rollout is False, "of a Deployment that has no pods yet"
    assert (seen().replicas, seen().rollout, seen().created) == (0, False, 0), "there is none"


def test_all_consumers_are_asked_for_while_a_pod_is_to_go() -> None:
    staying, leaving = pod("a"), pod("b", uid="p2")
    leaving["metadata"]["deletionTimestamp"] = "2026-01-01T00:01:00Z"
    assert request(Holdings(queue=queue(), pods={"a": staying}), SPEC).everyone is False
    assert request(Holdings(queue=queue(), pods={"a": staying, "b": leaving}), SPEC).everyone is True


def test_a_worker_goes_on_in_an_unready_pod_and_one_that_crashed_holds_nothing() -> None:
    sidecar = container("proxy", state={"waiting": {"reason": "CrashLoopBackOff"}})
    at_work = [container(state={"running": {"startedAt": CREATED}}), sidecar]
    crashed = [container(state={"waiting": {"reason": "CrashLoopBackOff"}})]
    pods = {"a": pod("a", containerStatuses=at_work), "b": pod("b", containerStatuses=crashed)}
    pods["c"] = pod("c", conditions=[condition("Ready", "True")])
    held = Holdings(queue=queue(), pods=pods)
    snapshot = Snapshot(time=1_800_000_000.0, stream_exists=True, group_exists=True, pending=3)
    found = observe(held, snapshot, Attribution({"a": 1, "b": 1, "c": 1}, ()), now=10.0, clock_offset=0.0)
    assert {each.name: (each.state, each.pending) for each in found.pods} == {
        "a": (PodState.FAILING, 1),
        "b": (PodState.FAILING, 0),
        "c": (PodState.READY, 1),
    }

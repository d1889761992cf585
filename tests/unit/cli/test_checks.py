"""Doctor's checks on what the cluster shows; those on Redis alone are tried on real servers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from streamqueue.cli.doctor.checks import diagnose
from streamqueue.cli.doctor.facts import Facts, Group
from streamqueue.cli.doctor.finding import Finding
from streamqueue.streams import ConsumerView, LagRule, ProblemKind, RedisProblem
from streamqueue.streams.durability import Durability
from streamqueue.streams.entries import Entry
from streamqueue.streams.tasks import PARKED
from tests.unit.cli.build import (
    IMAGE,
    OTHER_POD,
    POD,
    cluster,
    condition,
    facts,
    held,
    lease,
    letter,
    pod,
    queue,
    rfc3339,
    snapshot,
    spec,
    stream,
)

PULL = {"state": {"waiting": {"reason": "ImagePullBackOff", "message": 'Back-off pulling image "nope:1"'}}}
CRASH = {
    "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 40s restarting"}},
    "lastState": {"terminated": {"exitCode": 3, "reason": "Error"}},
    "restartCount": 4,
}
CONFIG = {"state": {"waiting": {"reason": "CreateContainerConfigError", "message": 'secret "keys" not found'}}}


def only(given: Facts) -> Finding:
    """The one finding."""
    (finding,) = diagnose(given)
    return finding


def test_a_healthy_queue() -> None:
    assert diagnose(facts()) == []


def test_nothing_found_out_is_no_finding() -> None:
    assert diagnose(Facts(again="orders", now=0)) == []


def test_image_cannot_be_pulled() -> None:
    finding = only(facts(cluster=cluster(pods=(pod(ready_for=None, container=PULL),))))
    assert finding.check == "image-pull"
    assert "registry.example/orders:1" in finding.cause and "Back-off pulling" in finding.cause
    assert finding.next == f"kubectl describe pod -n shop {POD}"
    silent = {"state": {"waiting": {"reason": "ErrImagePull"}}}
    finding = only(facts(cluster=cluster(pods=(pod(ready_for=None, container=silent),))))
    assert finding.cause.endswith("can't be pulled: the kubelet gives no reason")


@pytest.mark.parametrize("container", [PULL, CRASH, CONFIG], ids=["image-pull", "crash-loop", "container-config"])
def test_a_release_that_was_replaced_is_no_finding(container: dict[str, Any]) -> None:
    broken = pod(OTHER_POD, ready_for=None, container=container, image="registry.example/orders:0")
    told = queue(conditions=[condition("PodsFailing", "True", "CrashLoop", f"1 pod(s): pod {OTHER_POD}")])
    assert diagnose(facts(cluster=cluster(queue=told, pods=(pod(), broken)))) == []
    current = pod(OTHER_POD, ready_for=None, container=container)
    assert only(facts(cluster=cluster(pods=(pod(), current, broken))))


def test_handler_crash_loops() -> None:
    finding = only(facts(cluster=cluster(pods=(pod(ready_for=None, container=CRASH),))))
    assert finding.check == "crash-loop"
    assert (
        finding.cause == f"pod {POD}: container handler crashes again and again: 4 restart(s), last exit code 3 (Error)"
    )
    assert finding.next == f"kubectl logs --previous {POD} -n shop"
    ended = {"state": CRASH["lastState"], "restartCount": 4}  # and not held back yet
    assert only(facts(cluster=cluster(pods=(pod(ready_for=None, container=ended),)))) == finding


def test_one_crash_loop_is_told_of_also_beside_a_spec_that_cannot_be_read() -> None:
    both = cluster(pods=(pod(ready_for=None, container=CRASH), pod(OTHER_POD, ready_for=None, container=CRASH)))
    assert only(facts(cluster=both)) == only(facts(cluster=both, spec=None))


def test_a_container_that_cannot_be_created() -> None:
    finding = only(facts(cluster=cluster(pods=(pod(ready_for=None, container=CONFIG),))))
    assert finding.check == "container-config"
    assert finding.cause == f"""pod {POD}: container handler can't be created: secret "keys" not found"""
    assert finding.next == f"kubectl describe pod {POD} -n shop"
    crashed_before = {**CRASH, **CONFIG}
    assert only(facts(cluster=cluster(pods=(pod(ready_for=None, container=crashed_before),)))) == finding


def test_another_context_than_the_current_one_is_in_each_command() -> None:
    crashes = cluster(pods=(pod(ready_for=None, container=CRASH),), leases=())
    found = diagnose(facts(cluster=crashes, context="prod eu"))
    assert {finding.check for finding in found} == {"crash-loop", "operator-down"}
    assert all("--context 'prod eu'" in finding.next for finding in found)


@pytest.mark.parametrize("runner", [{}, {"lastState": {"terminated": {"exitCode": 1}}, "restartCount": 1}], ids=str)
def test_an_http_handler_that_crashes_is_asked_for_its_own_log(runner: dict[str, Any]) -> None:
    """It is a sidecar, and among the init containers; the pod's main container is the runner."""
    looping = pod(ready_for=None)
    looping["spec"]["initContainers"] = [{"name": "handler", "image": IMAGE}]
    looping["spec"]["containers"] = [{"name": "runner", "image": "operator"}]
    looping["status"]["initContainerStatuses"] = [{"name": "handler", "image": IMAGE, **CRASH}]
    looping["status"]["containerStatuses"] = [{"name": "runner", "image": "operator", "state": {}, **runner}]
    finding = only(facts(cluster=cluster(pods=(looping,))))
    assert "4 restart(s), last exit code 3" in finding.cause
    assert finding.next == f"kubectl logs --previous {POD} -c handler -n shop"
    looping["status"]["initContainerStatuses"][0]["name"] = "migrate"
    assert only(facts(cluster=cluster(pods=(looping,)))).cause.startswith(f"pod {POD}: container migrate crashes")


@pytest.mark.parametrize(
    "message",
    [
        "container has runAsNonRoot and image will run as root",
        "container has runAsNonRoot and image has non-numeric user (app), cannot verify user is non-root",
    ],
)
def test_an_image_that_would_run_as_root_is_told_what_to_do(message: str) -> None:
    waiting = {"state": {"waiting": {"reason": "CreateContainerConfigError", "message": message}}}
    finding = only(facts(cluster=cluster(pods=(pod(ready_for=None, container=waiting),))))
    assert finding.check == "container-config" and "runAsNonRoot: false" in finding.next


def test_pods_unschedulable() -> None:
    finding = only(facts(cluster=cluster(pods=(pod(unplaced="0/1 nodes: Insufficient cpu"), pod(OTHER_POD)))))
    assert finding.check == "unschedulable"
    assert "1 pod(s) find no node: 0/1 nodes: Insufficient cpu" in finding.cause


def test_pods_never_ready() -> None:
    runs = {"state": {"running": {"startedAt": rfc3339(600)}}, "started": False, "ready": False}
    waits = pod(ready_for=None, container=runs)
    told = queue(conditions=[condition("Ready", "False", "NotReady"), condition("PodsFailing", "True", "NotReady")])
    finding = only(facts(cluster=cluster(queue=told, pods=(waits, pod(OTHER_POD)))))
    assert finding.check == "never-ready"
    assert finding.cause == f"pod {POD}: container handler runs, and has not passed its startup probe"
    assert finding.next == f"kubectl describe pod -n shop {POD}"
    http = queue(spec(handler={"image": IMAGE, "protocol": "http", "port": 3000}))
    finding = only(facts(cluster=cluster(queue=http, pods=(waits,))))
    assert finding.next.startswith("let it listen on port 3000 of every address (0.0.0.0)")
    crashed = pod(ready_for=None, container={**CRASH, "state": {"running": {"startedAt": rfc3339(5)}}})
    assert only(facts(cluster=cluster(pods=(crashed,)))).check == "crash-loop", "there is more to say of it"


def test_pods_on_a_node_that_is_gone() -> None:
    gone = pod(OTHER_POD)
    gone["spec"]["nodeName"] = "node-7"
    gone["metadata"]["deletionTimestamp"] = rfc3339(60)
    assert diagnose(facts(cluster=cluster(pods=(pod(), gone)))) == []
    gone["metadata"]["deletionTimestamp"] = rfc3339(61)
    finding = only(facts(cluster=cluster(pods=(pod(), gone))))
    assert (finding.check, finding.warning) == ("lost-pods", True)
    assert OTHER_POD in finding.cause and finding.next == "kubectl get node node-7"


def budget(**selector: Any) -> dict[str, Any]:
    return {"metadata": {"name": "mine"}, "spec": {"selector": selector}}


@pytest.mark.parametrize(
    ("selector", "selects"),
    [
        ({}, True),
        ({"matchLabels": {"app": "orders"}}, True),
        ({"matchLabels": {"app": "orders", "tier": "web"}}, False),
        ({"matchExpressions": [{"key": "app", "operator": "In", "values": ["orders"]}]}, True),
        ({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["orders"]}]}, False),
        ({"matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["web"]}]}, True),
        ({"matchExpressions": [{"key": "tier", "operator": "Exists"}]}, False),
        ({"matchExpressions": [{"key": "tier", "operator": "DoesNotExist"}]}, True),
    ],
)
def test_pods_with_two_disruption_budgets_are_not_evicted(selector: dict[str, Any], selects: bool) -> None:
    labelled = pod()
    labelled["metadata"]["labels"] = {"app": "orders"}
    given = facts(cluster=cluster(pods=(labelled,), budgets=(budget(**selector),)))
    assert [finding.check for finding in diagnose(given)] == (["second-budget"] if selects else [])


def test_a_budget_without_a_selector_selects_nothing() -> None:
    none = {"metadata": {"name": "none"}, "spec": {"maxUnavailable": 1}}
    assert diagnose(facts(cluster=cluster(budgets=(none,)))) == []
    assert only(facts(cluster=cluster(budgets=(none, budget())))).next == "kubectl delete pdb -n shop mine"


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


def test_redis_that_only_the_operator_reaches_is_a_warning() -> None:
    unreachable = RedisProblem(ProblemKind.UNREACHABLE)
    alone = only(facts(stream=None, redis=unreachable))
    assert (alone.check, alone.warning, "the operator reaches it" in alone.cause) == ("redis-Unreachable", False, False)
    assert alone.next.endswith("kubectl get service,endpoints -n shop")
    conditions = [condition("RedisReachable", "True", "Reachable")]
    finding = only(facts(stream=None, redis=unreachable, cluster=cluster(queue=queue(conditions=conditions))))
    assert finding.warning and "the operator reaches it" in finding.cause


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


def test_a_wrong_password_names_the_secret() -> None:
    raw = spec(redis={"secretRef": {"name": "redis-url", "key": "url"}})
    finding = only(facts(stream=None, redis=RedisProblem(ProblemKind.AUTH), cluster=cluster(queue=queue(raw))))
    assert finding.next.endswith("kubectl edit secret -n shop redis-url")
    plain = facts(stream=None, redis=RedisProblem(ProblemKind.AUTH))
    assert only(plain).next == only(replace(plain, cluster=None)).next == "check user and password of the URL"


def test_a_key_of_another_type_and_no_way_to_redis_name_what_to_do() -> None:
    finding = only(facts(stream=None, redis=RedisProblem(ProblemKind.WRONG_TYPE)))
    assert finding.check == "redis-WrongType" and finding.next.endswith("redis-cli TYPE orders")
    finding = only(facts(stream=None, unreachable="no port-forward"))
    assert (finding.check, finding.cause, "--redis URL" in finding.next) == ("redis", "no port-forward", True)


def test_a_server_that_may_drop_tasks_is_a_warning() -> None:
    evicts, forgets = diagnose(facts(stream=stream(server=Durability("allkeys-lru", False))))
    assert (evicts.check, evicts.warning, forgets.check, forgets.warning) == ("eviction", True, "persistence", True)
    assert "maxmemory-policy allkeys-lru" in evicts.cause
    assert evicts.next == "redis-cli CONFIG SET maxmemory-policy noeviction"
    assert forgets.next.endswith("redis-cli CONFIG SET appendonly yes")
    assert diagnose(facts(stream=stream(server=Durability()))) == [], "it doesn't say"


def test_a_group_that_nobody_reads_holds_the_trim() -> None:
    groups = (
        Group("workers", "10-0", 0.4),
        Group("audit", "7-0", None),
        Group("old one", "5-0", 7200.0),
        Group("slow", "4-0", 3600.0),
    )
    kept = cluster(queue=queue(spec(retention={"policy": "acknowledged", "maxAge": "1h"})))

    def found(*blockers: str) -> Finding:
        return only(facts(cluster=kept, stream=stream(snapshot=snapshot(trim_blockers=blockers), groups=groups)))

    oldest = found("audit", "old one", "slow")
    assert oldest.check == "trim-pinned" and oldest.warning
    assert oldest.cause == (
        "group old one was last read 2h ago and stands at 5-0: nothing after that is ever trimmed, 10 entries now"
    )
    assert oldest.next.endswith("redis-cli XGROUP DESTROY orders 'old one'")
    assert found("audit").cause.startswith("group audit has no consumer and stands at 7-0")
    blocked = stream(snapshot=snapshot(trim_blockers=("audit", "slow")), groups=groups)
    assert diagnose(facts(stream=blocked)) == [], "trimming wasn't asked for"
    slow = stream(snapshot=snapshot(trim_blockers=("slow",)), groups=groups)
    assert diagnose(facts(cluster=kept, stream=slow)) == [], "somebody reads on"


def test_pending_tasks_whose_payload_is_gone() -> None:
    rows = tuple(held(f"{n}-0", consumer=f"c{n}") for n in (2, 3, 4))
    tail = tuple(Entry(f"{n}-0", {}) for n in range(4, 11))
    finding = only(facts(stream=stream(snapshot=snapshot(length=7, pending=3), tail=tail, held=rows)))
    assert finding.check == "trimmed-early" and not finding.warning
    assert finding.cause.startswith("2 pending task(s) were trimmed or deleted")
    assert finding.next.endswith("streamqueue reclaim orders clears the rows")
    unread = stream(snapshot=snapshot(length=8, pending=3), tail=tail, held=rows)
    assert diagnose(facts(stream=unread)) == [], "they may be among the older entries"
    empty = stream(snapshot=snapshot(length=0, pending=3), tail=(), held=rows)
    assert only(facts(stream=empty)).cause.startswith("3 pending task(s)")


def test_pods_read_another_stream() -> None:
    waiting = snapshot(undelivered=5, consumers=(), consumers_total=0)
    groups = (Group("workers", "5-0", 0.4), Group("audit", "5-0", 61.0), Group("worker", "10-0", 0.4))
    finding = only(facts(stream=stream(snapshot=waiting, groups=groups)))
    assert finding.check == "other-stream"
    assert finding.cause.startswith("2 pod(s) run, 5 task(s) wait, and nobody reads stream orders as group workers")
    assert finding.cause.endswith("; group worker of the same stream is being read")
    assert finding.next.endswith(f"kubectl logs -n shop {POD}")
    one_is_young = cluster(pods=(pod(), pod(OTHER_POD, ready_for=3)))
    alone = only(facts(stream=stream(snapshot=waiting), cluster=one_is_young))
    assert alone.check == "other-stream" and alone.cause.endswith("reads another stream or group")
    young = cluster(pods=(pod(ready_for=3), pod(OTHER_POD, ready_for=3)))
    assert diagnose(facts(stream=stream(snapshot=waiting), cluster=young)) == []
    reads = snapshot(undelivered=5)
    assert diagnose(facts(stream=stream(snapshot=reads))) == []
    assert diagnose(facts(stream=stream(snapshot=replace(waiting, pending=1)))) == [], "somebody has taken one"
    assert diagnose(facts(stream=stream(snapshot=replace(waiting, undelivered=0)))) == []
    assert diagnose(facts(stream=stream(snapshot=waiting), cluster=cluster(pods=()))) == []


def test_a_stream_or_a_group_that_is_missing_is_told_with_what_is_there() -> None:
    missing = snapshot(stream_exists=False, group_exists=False)
    finding = only(facts(stream=stream(snapshot=missing, streams_nearby=("order", "border"))))
    assert (finding.check, finding.warning) == ("no-stream", False)
    assert finding.cause.endswith("stream orders does not exist: nothing was ever added; there is order, border")
    assert finding.next.endswith("or: streamqueue send orders FIELD=VALUE")
    assert only(facts(stream=stream(snapshot=missing))).cause.endswith("nothing was ever added")

    def others(*names: str) -> str:
        groups = tuple(Group(name, "0-0", None) for name in names)
        finding = only(facts(stream=stream(snapshot=snapshot(group_exists=False), groups=groups)))
        assert finding.check == "no-group"
        assert finding.next.endswith("redis-cli XGROUP CREATE orders workers 0")
        return finding.cause.partition("stream orders has no group workers; ")[2]

    assert others("worker", "audit") == "its groups are worker"
    assert others(*"abcdef") == "its groups are a, b, c, d, e"
    assert others() == "it has no group at all"


def test_all_pods_share_one_consumer() -> None:
    shared = snapshot(consumers=(ConsumerView("worker-1", 2, 0.5),), consumers_total=1)
    finding = only(facts(stream=stream(snapshot=shared)))
    assert finding.check == "shared-consumer" and "2 pods read as consumer worker-1" in finding.cause
    assert finding.warning
    for pending, idle in ((0, 59.0), (2, 61.0)):
        one = snapshot(consumers=(ConsumerView("worker-1", pending, idle),), consumers_total=1)
        assert only(facts(stream=stream(snapshot=one))).check == "shared-consumer"
    some = snapshot(consumers=(ConsumerView("person", 2, 0.5), ConsumerView(POD, 0, 0.5)), consumers_total=2)
    assert diagnose(facts(stream=stream(snapshot=some))) == [], "somebody reads by hand beside the pods"
    parked = snapshot(consumers=(ConsumerView(PARKED, 2, 0.5),), consumers_total=1)
    assert diagnose(facts(stream=stream(snapshot=parked))) == [], "these are nobody's"
    conditions = [condition("ConsumersShared", "True", "NamesAreNotPods", "they share")]
    seen = only(facts(cluster=cluster(queue=queue(conditions=conditions))))
    assert (seen.check, seen.cause, seen.warning) == ("shared-consumer", "they share", True), "the operator saw it"
    former = snapshot(consumers=(ConsumerView("orders-59d8f7b6c-zzzzz", 1, 0.5),), consumers_total=1)
    assert diagnose(facts(stream=stream(snapshot=former))) == [], "a pod of an earlier template is no stranger"
    gone = snapshot(consumers=(ConsumerView("worker-1", 0, 61.0),), consumers_total=1)
    assert diagnose(facts(stream=stream(snapshot=gone))) == [], "it reads no more, and holds nothing"
    starts = pod(OTHER_POD, ready_for=None)
    starts["metadata"]["creationTimestamp"] = rfc3339(5)
    one_works = cluster(pods=(pod(), starts))
    assert diagnose(facts(stream=stream(snapshot=shared), cluster=one_works)) == [], "there is one reader"


def test_a_count_that_stopped_is_a_lower_bound() -> None:
    finding = only(facts(stream=stream(snapshot=snapshot(undelivered=1000, lag_rule=LagRule.SATURATED))))
    assert finding.check == "lag-unknown" and finding.warning and "'at least 1000'" in finding.cause


def test_pods_on_their_way_out_leave_no_room() -> None:
    """As where a sidecar ignores SIGTERM, or a queue is made again while workers of the last one finish."""
    going = [pod(), pod(OTHER_POD)]
    for each, ago in zip(going, (-90, -100), strict=True):
        each["metadata"]["deletionTimestamp"] = rfc3339(ago)

    def found(desired: int, limit: int, waiting: int = 3) -> list[Finding]:
        raw = spec(scaling={"maxReplicas": limit})
        given = cluster(queue=queue(raw, desiredReplicas=desired), pods=tuple(going))
        return diagnose(facts(cluster=given, stream=stream(snapshot=snapshot(undelivered=waiting))))

    (finding,) = found(0, 2)
    assert (finding.check, finding.warning) == ("no-room", True)
    assert "2 pod(s)" in finding.cause and finding.cause.endswith(f"until {rfc3339(-100)} at the latest")
    assert OTHER_POD in finding.next
    assert [each.check for each in found(1, 3)] == ["no-room"]
    assert found(0, 3) == found(1, 4) == found(0, 2, waiting=0) == []
    going[0]["metadata"]["deletionTimestamp"] = rfc3339(61)
    assert [each.check for each in found(0, 2)] == ["lost-pods"], "it counts no more"


def test_at_max_and_falling_behind() -> None:
    behind = snapshot(undelivered=500, oldest_waiting_age=95.0)
    full = cluster(queue=queue(desiredReplicas=4))
    finding = only(facts(cluster=full, stream=stream(snapshot=behind)))
    assert finding.check == "at-max"
    assert "maxReplicas (4) is reached" in finding.cause and '"maxReplicas":8' in finding.next
    assert diagnose(facts(stream=stream(snapshot=behind))) == [], "two of four: it is scaling up"
    draining = stream(snapshot=behind, later=snapshot(undelivered=450))
    assert diagnose(facts(cluster=full, stream=draining)) == []
    assert "500 waiting tasks waits for 1m35s, longer than 30s" in finding.cause
    assert "kubectl patch sq -n shop orders --type merge -p '{" in finding.next
    assert only(facts(cluster=full, stream=stream(snapshot=behind, later=None))) == finding
    for age in (30.0, None):
        in_time = stream(snapshot=replace(behind, oldest_waiting_age=age))
        assert diagnose(facts(cluster=full, stream=in_time)) == []
    by_backlog = cluster(queue=queue(spec(scaling={"targetBacklog": 5, "maxReplicas": 4}), desiredReplicas=4))
    assert "longer than 1m" in only(facts(cluster=by_backlog, stream=stream(snapshot=behind))).cause
    lowered = cluster(queue=queue(spec(scaling={"maxReplicas": 1}), desiredReplicas=4))
    finding = only(facts(cluster=lowered, stream=stream(snapshot=behind)))
    assert "maxReplicas (1) is reached" in finding.cause and '"maxReplicas":8' in finding.next, "four are busy yet"


@pytest.mark.parametrize(("block", "check"), [({"paused": True}, "paused"), ({"replicas": 1}, "pinned")])
def test_somebody_holds_the_count(block: dict[str, object], check: str) -> None:
    waiting = stream(snapshot=snapshot(undelivered=5))
    finding = only(facts(cluster=cluster(queue=queue(spec(scaling=block))), stream=waiting))
    assert finding.check == check and finding.warning
    assert finding.cause.endswith("while 5 task(s) wait")
    assert finding.next in ("streamqueue resume orders", "streamqueue scale orders auto")
    assert diagnose(facts(cluster=cluster(queue=queue(spec(scaling=block))))) == [], "nothing waits"


def test_pods_that_start_more_slowly_than_a_task_may_wait() -> None:
    finding = only(facts(cluster=cluster(cold_start=41.3)))
    assert finding.check == "slow-start" and finding.warning
    assert "pods take 41s" in finding.cause and "targetWait is 30s" in finding.cause and "above 43s" in finding.next
    assert diagnose(facts(cluster=cluster(cold_start=30.0))) == []
    by_backlog = cluster(queue=queue(spec(scaling={"targetBacklog": 5})), cold_start=41.3)
    assert diagnose(facts(cluster=by_backlog)) == [], "it promises no wait"


def test_a_task_that_runs_longer_than_the_spec_says() -> None:
    raw = spec(handler={"image": "i", "timeout": "10s"}, delivery={"visibilityTimeout": "30s"})
    long = stream(snapshot=snapshot(pending=1, oldest_pending_age=12.0), held=(held("10-0", idle=12.0),))
    finding = only(facts(cluster=cluster(queue=queue(raw)), stream=long))
    assert finding.check == "visibility-timeout"
    assert finding.cause == (
        "a task has run for 12s, longer than handler.timeout x batch, 10s: after visibilityTimeout, 30s, a second "
        "worker gets it as well"
    )
    assert finding.next.endswith("; streamqueue explain orders 10-0")
    short = stream(snapshot=snapshot(pending=1, oldest_pending_age=5.0), held=(held("10-0", idle=5.0),))
    assert diagnose(facts(cluster=cluster(queue=queue(raw)), stream=short)) == []
    batches = spec(handler={"image": "i", "timeout": "10s", "batch": 2}, delivery={"visibilityTimeout": "40s"})
    assert diagnose(facts(cluster=cluster(queue=queue(batches)), stream=long)) == [], "it may be the second of two"
    of_another = stream(snapshot=snapshot(pending=1), held=(held("10-0", consumer="orders-5f-zzzzz", idle=20.0),))
    assert diagnose(facts(cluster=cluster(queue=queue(raw)), stream=of_another)) == [], "no pod runs it"


def test_a_task_that_its_worker_renews_has_all_the_time() -> None:
    raw = spec(handler={"image": "i", "protocol": "sdk", "timeout": "10s"}, delivery={"visibilityTimeout": "2m"})

    def found(idle: float) -> list[str]:
        seen = stream(snapshot=snapshot(pending=1, oldest_pending_age=idle), held=(held("10-0", idle=idle),))
        return [each.check for each in diagnose(facts(cluster=cluster(queue=queue(raw)), stream=seen))]

    assert found(45.0) == [], "the next renewal is due after 40 s"
    assert found(70.0) == ["visibility-timeout"], "nobody renewed it"


def test_tasks_that_died_of_the_visibility_timeout() -> None:
    letters = (letter("1-0", "t1", "visibility-timeout"), letter("2-0", "t2", "visibility-timeout"))
    found = diagnose(facts(stream=stream(snapshot=snapshot(dead_letters=2), letters=letters)))
    by_name = {finding.check: finding for finding in found}
    assert by_name.keys() == {"dead-letters", "visibility-timeout"}
    assert "2 task(s) died because they were not acknowledged within visibilityTimeout, 5m," in (
        by_name["visibility-timeout"].cause
    )
    assert by_name["dead-letters"].cause.startswith("2 dead letter(s); the newest by cause: 2 x visibility-timeout")


def test_causes_that_read_the_same_are_counted_as_one() -> None:
    letters = tuple(letter(f"{n}-0", f"t{n}", f"{'x' * 150} {n}") for n in range(3))
    finding = only(facts(stream=stream(snapshot=snapshot(dead_letters=3), letters=letters)))
    assert finding.cause.count(" x xxx") == 1 and ": 3 x xxx" in finding.cause


def test_dead_letters_without_room_for_more() -> None:
    few = queue(spec(delivery={"deadLetter": {"maxLength": 2}}))
    room, full = (
        only(facts(cluster=cluster(queue=few), stream=stream(snapshot=snapshot(dead_letters=count)))).cause
        for count in (1, 2)
    )
    assert "stay pending" not in room and "maxLength (2) is reached: further tasks stay pending" in full
    straight = facts(stream=stream(snapshot=snapshot(dead_letters=10_000)))
    assert "maxLength" not in only(replace(straight, cluster=None)).cause, "nobody chose that limit"


def test_tasks_that_a_handler_abandoned_to_death() -> None:
    found = facts(stream=stream(snapshot=snapshot(dead_letters=1), letters=(letter("1-0", "t1", "abandoned"),)))
    assert {finding.check for finding in diagnose(found)} == {"dead-letters", "left-pending"}


def test_what_a_living_consumer_of_one_slot_read_past_was_left_behind() -> None:
    rows = (held("4-0", idle=50.0), held("9-0", idle=1.0), held("5-0", OTHER_POD, idle=40.0))

    def found(seen: float, **handler: Any) -> list[Finding]:
        views = (ConsumerView(POD, 2, seen), ConsumerView(OTHER_POD, 1, 1.0))
        seen_now = stream(snapshot=snapshot(pending=3, consumers=views), held=rows)
        return diagnose(facts(cluster=cluster(queue=queue(spec(handler={"image": IMAGE, **handler}))), stream=seen_now))

    (finding,) = found(1.0)
    assert finding.check == "left-pending" and finding.cause.startswith(f"consumer {POD} left 1 task(s) pending")
    assert finding.next.startswith("streamqueue explain orders 4-0;")
    assert found(1.0, concurrency=2) == [], "the other slot may still be at it"
    assert found(61.0) == [], "it lives no more, and its work comes back"


def test_never_acknowledging_is_told_from_one_slow_task() -> None:
    tail = tuple(Entry(f"{n}-0", {}) for n in range(1, 6))
    rows = tuple(held(f"{n}-0", consumer=f"c{n}", idle=300.0) for n in range(1, 6))
    all_held = stream(snapshot=snapshot(pending=5), tail=tail, held=rows)
    (finding,) = [each for each in diagnose(facts(stream=all_held)) if each.check == "never-acknowledges"]
    assert "of the last 5 tasks that were delivered none is done, 5 are pending, 0 came back or died" in finding.cause
    begun = tuple(held(row.id, consumer=f"c{n}", idle=119.0) for n, row in enumerate(rows))
    for doubt in ({"held": begun}, {"held_complete": False}):  # the handler has two minutes
        seen = diagnose(facts(stream=replace(all_held, **doubt)))
        assert "never-acknowledges" not in {each.check for each in seen}
    one_done = stream(snapshot=snapshot(pending=4), tail=tail, held=rows[1:])
    assert "never-acknowledges" not in {finding.check for finding in diagnose(facts(stream=one_done))}


def test_the_reclaim_job_fails() -> None:
    failed = {"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded", "message": "Job has failed"}
    done = {"type": "Complete", "status": "True"}
    jobs = tuple(
        {"metadata": {"name": name, "creationTimestamp": rfc3339(ago)}, "status": {"conditions": [how]}}
        for name, ago, how in (("orders-reclaim-1", 600, done), ("orders-reclaim-2", 300, failed))
    )
    finding = only(facts(cluster=cluster(jobs=jobs)))
    assert finding.check == "reclaim-failing" and "Job has failed" in finding.cause
    assert finding.next == "kubectl logs job/orders-reclaim-2 -n shop"
    assert diagnose(facts(cluster=cluster(jobs=jobs[:1]))) == []
    under_way = {"metadata": {"name": "orders-reclaim-3", "creationTimestamp": rfc3339(10)}, "status": {}}
    assert only(facts(cluster=cluster(jobs=(*jobs, under_way)))) == finding


def test_the_reclaim_job_has_no_log_once_its_time_is_over() -> None:
    """Its pod is deleted, and may never have had a node."""
    late = {"type": "Failed", "status": "True", "reason": "DeadlineExceeded", "message": "Job was active too long"}
    job = {
        "metadata": {"name": "orders-reclaim-2", "creationTimestamp": rfc3339(300)},
        "status": {"conditions": [late]},
    }
    finding = only(facts(cluster=cluster(jobs=(job,))))
    assert finding.next.startswith("kubectl get events -n shop | grep orders-reclaim-2: ")


def test_the_reclaim_cron_job_is_suspended_with_work_pending() -> None:
    pending = stream(snapshot=snapshot(pending=1))
    resting = {"spec": {"suspend": True}}
    finding = only(facts(cluster=cluster(cron_job=resting), stream=pending))
    assert finding.check == "reclaim-suspended" and not finding.warning
    chosen = cluster(queue=queue(spec(reclaim={"suspend": True})), cron_job=resting)
    finding = only(facts(cluster=chosen, stream=pending))
    assert finding.warning and finding.cause.endswith("with 1 task(s) pending")
    mend = """kubectl patch sq -n shop orders --type merge -p '{"spec":{"reclaim":{"suspend":false}}}'"""
    assert finding.next == mend
    assert diagnose(facts(cluster=chosen)) == [], "nothing pends"
    assert diagnose(facts(cluster=cluster(cron_job=resting))) == [], "nothing pends"
    assert diagnose(facts(cluster=cluster(cron_job={"spec": {"suspend": False}}), stream=pending)) == []
    for later in (snapshot(), None):  # done by now, or nobody knows
        passing = stream(snapshot=snapshot(pending=1), later=later)
        assert diagnose(facts(cluster=cluster(cron_job=resting), stream=passing)) == []


def test_retries_that_a_second_group_forbids() -> None:
    stuck = stream(snapshot=snapshot(groups=2, pending=1, oldest_pending_age=400.0))
    finding = only(facts(stream=stuck))
    assert finding.check == "several-groups" and "requeue: all-groups" in finding.next
    claiming = cluster(queue=queue(spec(handler={"image": IMAGE, "protocol": "sdk"})))
    assert "requeue" not in only(facts(cluster=claiming, stream=stuck)).next, "refused there: workers claim"
    copied = cluster(queue=queue(spec(delivery={"requeue": "all-groups"})))
    assert diagnose(facts(cluster=copied, stream=stuck)) == []
    for calm in ({"groups": 1}, {"oldest_pending_age": 300.0}):
        seen = stream(snapshot=snapshot(**{"groups": 2, "pending": 1, "oldest_pending_age": 400.0, **calm}))
        assert diagnose(facts(stream=seen)) == []


def test_problems_come_before_warnings() -> None:
    both = facts(
        cluster=cluster(queue=queue(spec(scaling={"paused": True})), leases=()),
        stream=stream(snapshot=snapshot(undelivered=1)),
    )
    assert [finding.check for finding in diagnose(both)] == ["operator-down", "paused"]

"""Doctor's checks on what the cluster shows; those on Redis alone are tried on real servers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from streamqueue.cli.doctor.checks import diagnose
from streamqueue.cli.doctor.facts import Facts, Group
from streamqueue.cli.doctor.finding import Finding
from streamqueue.streams import ConsumerView, ProblemKind, RedisProblem
from streamqueue.streams.entries import Entry
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
    assert "4 restart(s), last exit code 3" in finding.cause
    assert finding.next == f"kubectl logs --previous {POD} -n shop"


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


@pytest.mark.parametrize("leases", [(lease(renewed_ago=120),), (lease(holder=""),), ()])
def test_operator_down_or_not_leader(leases: tuple[dict[str, object], ...]) -> None:
    finding = only(facts(cluster=cluster(leases=leases)))
    assert finding.check == "operator-down"
    assert "-l app.kubernetes.io/name=streamqueue" in finding.next, "the Deployment's name is the release's"


def test_leases_that_may_not_be_read_say_nothing() -> None:
    assert diagnose(facts(cluster=cluster(leases=None))) == []


def test_a_change_the_operator_has_not_looked_at() -> None:
    assert only(facts(cluster=cluster(queue=queue(observedGeneration=1)))).check == "not-reported"
    fresh = queue(observedGeneration=1)
    fresh["metadata"]["managedFields"][0]["time"] = rfc3339(3)
    assert diagnose(facts(cluster=cluster(queue=fresh))) == []


def test_what_the_operator_refuses_is_passed_on() -> None:
    conditions = [condition("Accepted", "False", "Duplicate", "queue shop/other reads this stream")]
    finding = only(facts(cluster=cluster(queue=queue(conditions=conditions))))
    assert "Duplicate: queue shop/other reads this stream" in finding.cause


def test_warnings_that_no_check_knows_are_passed_on() -> None:
    conditions = [condition("DrainsOnSIGTERM", "False", "ReadsOn", "a pod read on"), condition("Ready", "True", "Ok")]
    finding = only(facts(cluster=cluster(queue=queue(conditions=conditions))))
    assert finding.check == "condition" and finding.warning
    assert finding.cause == "the operator says DrainsOnSIGTERM=False: a pod read on"


def test_redis_that_only_the_operator_reaches_is_a_warning() -> None:
    unreachable = RedisProblem(ProblemKind.UNREACHABLE)
    assert not only(facts(stream=None, redis=unreachable)).warning
    conditions = [condition("RedisReachable", "True", "Reachable")]
    finding = only(facts(stream=None, redis=unreachable, cluster=cluster(queue=queue(conditions=conditions))))
    assert finding.warning and "the operator reaches it" in finding.cause


def test_a_wrong_password_names_the_secret() -> None:
    raw = spec(redis={"secretRef": {"name": "redis-url", "key": "url"}})
    finding = only(facts(stream=None, redis=RedisProblem(ProblemKind.AUTH), cluster=cluster(queue=queue(raw))))
    assert finding.next.endswith("kubectl edit secret -n shop redis-url")


def test_pods_read_another_stream() -> None:
    waiting = snapshot(undelivered=5, consumers=(), consumers_total=0)
    groups = (Group("workers", "5-0", None), Group("worker", "10-0", 0.4))
    finding = only(facts(stream=stream(snapshot=waiting, groups=groups)))
    assert finding.check == "other-stream"
    assert "nobody reads stream orders as group workers" in finding.cause and "group worker of" in finding.cause
    young = cluster(pods=(pod(ready_for=3), pod(OTHER_POD, ready_for=3)))
    assert diagnose(facts(stream=stream(snapshot=waiting), cluster=young)) == []
    reads = snapshot(undelivered=5)
    assert diagnose(facts(stream=stream(snapshot=reads))) == []


def test_all_pods_share_one_consumer() -> None:
    shared = snapshot(consumers=(ConsumerView("worker-1", 2, 0.5),), consumers_total=1)
    finding = only(facts(stream=stream(snapshot=shared)))
    assert finding.check == "shared-consumer" and "2 pods read as consumer worker-1" in finding.cause
    conditions = [condition("ConsumersShared", "True", "NamesAreNotPods", "they share")]
    seen = only(facts(cluster=cluster(queue=queue(conditions=conditions))))
    assert (seen.check, seen.cause) == ("shared-consumer", "they share"), "what the operator saw counts"
    former = snapshot(consumers=(ConsumerView("orders-59d8f7b6c-zzzzz", 1, 0.5),), consumers_total=1)
    assert diagnose(facts(stream=stream(snapshot=former))) == [], "a pod of an earlier template is no stranger"


def test_at_max_and_falling_behind() -> None:
    behind = snapshot(undelivered=500, oldest_waiting_age=95.0)
    full = cluster(queue=queue(desiredReplicas=4))
    finding = only(facts(cluster=full, stream=stream(snapshot=behind)))
    assert finding.check == "at-max"
    assert "maxReplicas (4) is reached" in finding.cause and '"maxReplicas":8' in finding.next
    assert diagnose(facts(stream=stream(snapshot=behind))) == [], "two of four: it is scaling up"
    draining = stream(snapshot=behind, later=snapshot(undelivered=450))
    assert diagnose(facts(cluster=full, stream=draining)) == []


@pytest.mark.parametrize(("block", "check"), [({"paused": True}, "paused"), ({"replicas": 1}, "pinned")])
def test_somebody_holds_the_count(block: dict[str, object], check: str) -> None:
    waiting = stream(snapshot=snapshot(undelivered=5))
    assert only(facts(cluster=cluster(queue=queue(spec(scaling=block))), stream=waiting)).check == check


def test_pods_that_start_more_slowly_than_a_task_may_wait() -> None:
    finding = only(facts(cluster=cluster(cold_start=41.3)))
    assert finding.check == "slow-start" and finding.warning
    assert "pods take 41s" in finding.cause and "targetWait is 30s" in finding.cause and "above 43s" in finding.next
    assert diagnose(facts(cluster=cluster(cold_start=30.0))) == []
    by_backlog = cluster(queue=queue(spec(scaling={"targetBacklog": 5})), cold_start=41.3)
    assert diagnose(facts(cluster=by_backlog)) == [], "it promises no wait"


def test_a_task_that_runs_longer_than_the_spec_says() -> None:
    raw = spec(handler={"image": "i", "timeout": "10s"}, delivery={"visibilityTimeout": "30s"})
    long = stream(snapshot=snapshot(pending=1, oldest_pending_age=20.0), held=(held("10-0", idle=20.0),))
    finding = only(facts(cluster=cluster(queue=queue(raw)), stream=long))
    assert finding.check == "visibility-timeout" and "has run for 20s" in finding.cause
    short = stream(snapshot=snapshot(pending=1, oldest_pending_age=5.0), held=(held("10-0", idle=5.0),))
    assert diagnose(facts(cluster=cluster(queue=queue(raw)), stream=short)) == []


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
    assert {finding.check for finding in found} == {"dead-letters", "visibility-timeout"}


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


def test_never_acknowledging_is_told_from_one_slow_task() -> None:
    tail = tuple(Entry(f"{n}-0", {}) for n in range(1, 6))
    rows = tuple(held(f"{n}-0", consumer=f"c{n}", idle=300.0) for n in range(1, 6))
    all_held = stream(snapshot=snapshot(pending=5), tail=tail, held=rows)
    assert "never-acknowledges" in {finding.check for finding in diagnose(facts(stream=all_held))}
    one_done = stream(snapshot=snapshot(pending=4), tail=tail, held=rows[1:])
    assert "never-acknowledges" not in {finding.check for finding in diagnose(facts(stream=one_done))}


def test_the_reclaim_job_fails() -> None:
    failed = {"type": "Failed", "status": "True", "reason": "DeadlineExceeded", "message": "Job was active too long"}
    done = {"type": "Complete", "status": "True"}
    jobs = tuple(
        {"metadata": {"name": name, "creationTimestamp": rfc3339(ago)}, "status": {"conditions": [how]}}
        for name, ago, how in (("orders-reclaim-1", 600, done), ("orders-reclaim-2", 300, failed))
    )
    finding = only(facts(cluster=cluster(jobs=jobs)))
    assert finding.check == "reclaim-failing" and "Job was active too long" in finding.cause
    assert finding.next == "kubectl logs job/orders-reclaim-2 -n shop"
    assert diagnose(facts(cluster=cluster(jobs=jobs[:1]))) == []


def test_the_reclaim_cron_job_is_suspended_with_work_pending() -> None:
    pending = stream(snapshot=snapshot(pending=1))
    resting = {"spec": {"suspend": True}}
    finding = only(facts(cluster=cluster(cron_job=resting), stream=pending))
    assert finding.check == "reclaim-suspended" and not finding.warning
    chosen = cluster(queue=queue(spec(reclaim={"suspend": True})), cron_job=resting)
    assert only(facts(cluster=chosen, stream=pending)).warning
    assert diagnose(facts(cluster=cluster(cron_job=resting))) == [], "nothing pends"


def test_retries_that_a_second_group_forbids() -> None:
    stuck = stream(snapshot=snapshot(groups=2, pending=1, oldest_pending_age=400.0))
    finding = only(facts(stream=stuck))
    assert finding.check == "several-groups" and "requeue: all-groups" in finding.next
    claiming = cluster(queue=queue(spec(handler={"image": IMAGE, "protocol": "sdk"})))
    assert "requeue" not in only(facts(cluster=claiming, stream=stuck)).next, "refused there: workers claim"
    copied = cluster(queue=queue(spec(delivery={"requeue": "all-groups"})))
    assert diagnose(facts(cluster=copied, stream=stuck)) == []


def test_problems_come_before_warnings() -> None:
    both = facts(
        cluster=cluster(queue=queue(spec(scaling={"paused": True})), leases=()),
        stream=stream(snapshot=snapshot(undelivered=1)),
    )
    assert [finding.check for finding in diagnose(both)] == ["operator-down", "paused"]

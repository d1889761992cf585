"""Can Redis be used, and is the right stream read? What real servers say is in `tests/redis/cli/test_doctor.py`."""

from __future__ import annotations

from dataclasses import replace

from streamqueue.cli.doctor.checks import diagnose
from streamqueue.cli.doctor.facts import Group
from streamqueue.streams import ConsumerView, LagRule, ProblemKind, RedisProblem
from streamqueue.streams.durability import Durability
from streamqueue.streams.tasks import PARKED
from tests.unit.cli.build import (
    OTHER_POD,
    POD,
    cluster,
    condition,
    facts,
    only,
    pod,
    queue,
    rfc3339,
    snapshot,
    spec,
    stream,
)


def test_redis_that_only_the_operator_reaches_is_a_warning() -> None:
    unreachable = RedisProblem(ProblemKind.UNREACHABLE)
    alone = only(facts(stream=None, redis=unreachable))
    assert (alone.check, alone.warning, "the operator reaches it" in alone.cause) == ("redis-Unreachable", False, False)
    assert alone.next.endswith("kubectl get service,endpoints -n shop")
    assert only(facts(stream=None, redis=unreachable, cluster=None)).next.endswith("redis-cli PING")
    conditions = [condition("RedisReachable", "True", "Reachable")]
    finding = only(facts(stream=None, redis=unreachable, cluster=cluster(queue=queue(conditions=conditions))))
    assert finding.warning and "the operator reaches it" in finding.cause


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


def test_pods_read_another_stream() -> None:
    waiting = snapshot(undelivered=5, consumers=(), consumers_total=0)
    unread = (Group("audit", "5-0", 61.0), Group("unused", "0-0", None))
    groups = (Group("workers", "5-0", 0.4), *unread, Group("worker", "10-0", 0.4))
    finding = only(facts(stream=stream(snapshot=waiting, groups=groups)))
    assert finding.check == "other-stream"
    assert finding.cause.startswith("2 pod(s) run, 5 task(s) wait, and nobody reads stream orders as group workers")
    assert finding.cause.endswith("; group worker of the same stream is being read")
    assert finding.next.endswith(f"kubectl logs -n shop {POD}")
    one_is_young = cluster(pods=(pod(), pod(OTHER_POD, ready_for=3)))
    alone = only(facts(stream=stream(snapshot=waiting), cluster=one_is_young))
    assert alone.check == "other-stream" and alone.cause.endswith("reads another stream or group")
    comes = pod(OTHER_POD, ready_for=None)
    comes["metadata"]["creationTimestamp"] = rfc3339(5)
    beside = facts(stream=stream(snapshot=waiting), cluster=cluster(pods=(pod(), comes)))
    assert only(beside).cause.startswith("1 pod(s) run")
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

"""What is found, and in which order."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

from streamqueue.cli.doctor.checks import diagnose
from streamqueue.cli.doctor.facts import Facts, Group
from streamqueue.streams.durability import Durability
from tests.unit.cli.build import (
    CRASH,
    OTHER_POD,
    POD,
    cluster,
    condition,
    facts,
    held,
    letter,
    pod,
    queue,
    snapshot,
    spec,
    stream,
)


def test_a_healthy_queue() -> None:
    assert diagnose(facts()) == []


def test_nothing_found_out_is_no_finding() -> None:
    assert diagnose(Facts(again="orders", now=0)) == []


def test_the_less_is_found_out_the_less_is_found() -> None:
    """Each check makes do with what there is, as beside a spec that can't be read, or without a way to Redis."""
    told = [condition("ConsumersShared", "True", "NamesAreNotPods"), condition("Ready", "False", "NameConflict")]
    raw = spec(scaling={"paused": True, "replicas": 4}, retention={"policy": "acknowledged", "maxAge": "1h"})
    busy = snapshot(
        undelivered=5, pending=5, oldest_waiting_age=95.0, oldest_pending_age=400.0, groups=2, trim_blockers=("audit",)
    )
    given = facts(
        cluster=cluster(
            queue=queue(raw, desiredReplicas=4, conditions=told),
            pods=(pod(ready_for=None, container=CRASH),),
            leases=(),
            cron_job={"spec": {"suspend": True}},
            cold_start=41.0,
        ),
        stream=stream(
            snapshot=busy,
            server=Durability("allkeys-lru", False),
            groups=(Group("audit", "1-0", None),),
            letters=(letter("1-0", "t1", "visibility-timeout"),),
            held=tuple(held(f"{n}-0", consumer=f"{POD}.{n}", idle=300.0) for n in range(1, 11)),
        ),
    )
    every = {finding.check for finding in diagnose(given)}
    assert len(every) > 12
    lacks: tuple[dict[str, None], ...] = ({"spec": None}, {"stream": None}, {"cluster": None})
    for one, other in product(lacks, lacks):
        assert {finding.check for finding in diagnose(replace(given, **one | other))} < every


def test_another_context_than_the_current_one_is_in_each_command() -> None:
    pods = (pod(ready_for=None, container=CRASH), pod(OTHER_POD, unplaced="Insufficient cpu"))
    troubled = cluster(pods=pods, leases=(), cron_job={"spec": {"suspend": True}})
    found = diagnose(facts(cluster=troubled, stream=stream(snapshot=snapshot(pending=1)), context="prod eu"))
    checks = ["operator-down", "crash-loop", "unschedulable", "reclaim-suspended"]
    assert [finding.check for finding in found] == checks
    assert all("kubectl " in finding.next and "--context 'prod eu'" in finding.next for finding in found)


def test_problems_come_before_warnings() -> None:
    both = facts(
        cluster=cluster(queue=queue(spec(scaling={"paused": True})), leases=()),
        stream=stream(snapshot=snapshot(undelivered=1)),
    )
    assert [finding.check for finding in diagnose(both)] == ["operator-down", "paused"]

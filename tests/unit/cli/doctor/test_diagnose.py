"""What is found, and in which order."""

from __future__ import annotations

from streamqueue.cli.doctor.checks import diagnose
from streamqueue.cli.doctor.facts import Facts
from tests.unit.cli.build import CRASH, cluster, facts, pod, queue, snapshot, spec, stream


def test_a_healthy_queue() -> None:
    assert diagnose(facts()) == []


def test_nothing_found_out_is_no_finding() -> None:
    assert diagnose(Facts(again="orders", now=0)) == []


def test_another_context_than_the_current_one_is_in_each_command() -> None:
    crashes = cluster(pods=(pod(ready_for=None, container=CRASH),), leases=())
    found = diagnose(facts(cluster=crashes, context="prod eu"))
    assert {finding.check for finding in found} == {"crash-loop", "operator-down"}
    assert all("--context 'prod eu'" in finding.next for finding in found)


def test_problems_come_before_warnings() -> None:
    both = facts(
        cluster=cluster(queue=queue(spec(scaling={"paused": True})), leases=()),
        stream=stream(snapshot=snapshot(undelivered=1)),
    )
    assert [finding.check for finding in diagnose(both)] == ["operator-down", "paused"]

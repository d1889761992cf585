"""Does the number of workers follow the work?"""

from __future__ import annotations

from dataclasses import replace

import pytest

from streamqueue.cli.doctor.checks import diagnose
from streamqueue.cli.doctor.finding import Finding
from tests.unit.cli.build import (
    IMAGE,
    OTHER_POD,
    POD,
    cluster,
    facts,
    only,
    pod,
    queue,
    rfc3339,
    snapshot,
    spec,
    stream,
)


def test_pods_on_their_way_out_leave_no_room() -> None:
    """As where a sidecar ignores SIGTERM, or a queue is made again while workers of the last one finish."""
    going = [pod(), pod(OTHER_POD)]
    for each, ago in zip(going, (-100, -90), strict=True):
        each["metadata"]["deletionTimestamp"] = rfc3339(ago)

    def found(desired: int, limit: int, waiting: int = 3, protocol: str = "redis") -> list[Finding]:
        raw = spec(scaling={"maxReplicas": limit}, handler={"image": IMAGE, "protocol": protocol})
        given = cluster(queue=queue(raw, desiredReplicas=desired), pods=tuple(going))
        look = snapshot(undelivered=waiting, consumers=(), consumers_total=0)
        return diagnose(facts(cluster=given, stream=stream(snapshot=look)))

    (finding,) = found(0, 2)
    assert (finding.check, finding.warning) == ("no-room", True)
    assert "2 pod(s)" in finding.cause and finding.cause.endswith(f"until {rfc3339(-100)} at the latest")
    assert POD in finding.next
    assert [each.check for each in found(1, 3)] == ["no-room"]
    assert found(0, 3) == found(1, 4) == found(0, 2, waiting=0) == []
    assert found(0, 2, protocol="http") == [], "their runners have ended"
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

"""What stays in the stream, what went too early, and does work come back?"""

from __future__ import annotations

from streamqueue.cli.doctor.checks import diagnose
from streamqueue.cli.doctor.facts import Group
from streamqueue.cli.doctor.finding import Finding
from streamqueue.streams.entries import Entry
from tests.unit.cli.build import IMAGE, cluster, facts, held, only, queue, rfc3339, snapshot, spec, stream


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
    assert only(facts(cluster=None, stream=blocked)).check == "trim-pinned", "who trims, and how, nobody has said"
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
    for calm in ({"groups": 1}, {"oldest_pending_age": 300.0}, {"pending": 0, "oldest_pending_age": None}):
        seen = stream(snapshot=snapshot(**{"groups": 2, "pending": 1, "oldest_pending_age": 400.0, **calm}))
        assert diagnose(facts(stream=seen)) == []

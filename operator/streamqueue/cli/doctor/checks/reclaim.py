"""Does work come back?"""

from __future__ import annotations

from collections.abc import Iterator

from streamqueue.api.durations import format_duration
from streamqueue.api.spec import Protocol
from streamqueue.cli.doctor.facts import Facts
from streamqueue.cli.doctor.finding import Finding


def suspended(facts: Facts) -> Iterator[Finding]:
    """The operator itself suspends it while there is nothing to return."""
    cluster, found = facts.cluster, facts.snapshot
    if not (cluster and found and found.pending and cluster.cron_job):
        return
    if not cluster.cron_job["spec"].get("suspend"):
        return
    name = cluster.queue["metadata"]["name"]
    if facts.spec and facts.spec.reclaim.suspend:
        cause = f"the reclaim CronJob is suspended (spec.reclaim.suspend) with {found.pending} task(s) pending"
        patch = """--type merge -p '{"spec":{"reclaim":{"suspend":false}}}'"""
        yield Finding("reclaim-suspended", cause, f"kubectl patch sq{facts.namespace} {name} {patch}", warning=True)
    elif facts.stream and facts.stream.later and facts.stream.later.pending:
        cause = f"the reclaim CronJob is suspended with {found.pending} task(s) pending: the operator should resume it"
        yield Finding("reclaim-suspended", cause, f"{facts.operator_pods}; the log of the one that leads tells why")


def failing(facts: Facts) -> Iterator[Finding]:
    jobs = facts.cluster.jobs if facts.cluster else ()
    ended = [job for job in jobs if job.get("status", {}).get("conditions")]
    if not ended:
        return
    newest = max(ended, key=lambda job: str(job["metadata"]["creationTimestamp"]))
    failed = [each for each in newest["status"]["conditions"] if each["type"] == "Failed" and each["status"] == "True"]
    if failed:
        cause = f"the last reclaim job failed: {failed[0].get('message') or failed[0].get('reason', 'no reason given')}"
        name = newest["metadata"]["name"]
        look = f"kubectl logs job/{name}{facts.namespace}"
        if failed[0].get("reason") == "DeadlineExceeded":  # its pod is gone, and the log with it
            look = (
                f"kubectl get events{facts.namespace} | grep {name}: where its pod had no node, the chart's "
                "reclaim.tolerations and reclaim.nodeSelector say where it may run"
            )
        yield Finding("reclaim-failing", cause, look)


def several_groups(facts: Facts) -> Iterator[Finding]:
    found, spec = facts.snapshot, facts.configured
    if not (found and spec and found.groups > 1) or found.oldest_pending_age is None or spec.delivery.reaches_others:
        return
    visibility = spec.delivery.visibility_timeout
    if found.oldest_pending_age > visibility:
        cause = (
            f"tasks are past visibilityTimeout, {format_duration(visibility)}, and stay pending: the stream has "
            f"{found.groups} groups, and a retry by copy would reach them all"
        )
        mend = "give the other group a stream of its own"
        if spec.handler.protocol is Protocol.REDIS:
            mend += ", or set spec.delivery.requeue: all-groups where it can bear copies"
        yield Finding("several-groups", cause, mend)

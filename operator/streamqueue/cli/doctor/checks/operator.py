"""Is the operator there, and does one of its pods lead?"""

from __future__ import annotations

from collections.abc import Iterator

from streamqueue.api.timestamps import epoch
from streamqueue.cli.doctor.facts import Facts
from streamqueue.cli.doctor.finding import Finding
from streamqueue.cli.output import age
from streamqueue.controller.kinds import Body

REPORT_DUE = 30.0  # seconds after which a new or changed queue must have been looked at


def operator_down(facts: Facts) -> Iterator[Finding]:
    leases = facts.cluster.leases if facts.cluster else None
    if leases is None or any(_is_held(lease, facts.now) for lease in leases):
        return
    if not leases:
        cause = "no operator has ever led here: it isn't installed, or can't start"
        yield Finding("operator-down", cause, f"is it among the releases of helm list -A? {facts.operator_pods}")
        return
    lease = max(leases, key=lambda each: str(each["spec"].get("renewTime") or ""))
    namespace, holder = lease["metadata"]["namespace"], lease["spec"].get("holderIdentity")
    where = f"{facts.context_option} -n {namespace}"
    look = f"kubectl get pods{where}; kubectl logs{where} -l app.kubernetes.io/name=streamqueue"
    if not holder:
        cause = "no operator leads: the last one has left, and no other has taken over"
    else:
        since = facts.now - epoch(lease["spec"]["renewTime"])
        cause = f"the operator is down or stalled: {holder} last renewed its lease {age(since)} ago"
    yield Finding("operator-down", cause, look)


def not_reported(facts: Facts) -> Iterator[Finding]:
    """The object is newer than what the operator says of it, or the operator has ceased to look at it."""
    if facts.cluster is None:
        return
    queue = facts.cluster.queue
    if "deletionTimestamp" in queue["metadata"]:
        cause = "the queue was deleted, and finalizers hold it: nobody looks at it any more, and its workers run on"
        look = f"kubectl get sq{facts.namespace} {queue['metadata']['name']} -o jsonpath='{{.metadata.finalizers}}'"
        yield Finding("not-reported", cause, look)
        return
    changed = max((epoch(each["time"]) for each in _spec_writes(queue)), default=_created(queue))
    seen = queue.get("status", {}).get("observedGeneration", 0)
    if seen < queue["metadata"]["generation"] and facts.now - changed > REPORT_DUE:
        cause = f"the operator hasn't looked at this queue since it was changed, {age(facts.now - changed)} ago"
        yield Finding("not-reported", cause, f"does it watch this namespace? {facts.operator_pods}")
    elif not facts.cluster.looked_at and facts.now - _created(queue) > REPORT_DUE:
        cause = "the operator that leads doesn't look at this queue: what its status says is of the past"
        look = f"is its namespace among the chart's watchNamespaces? {facts.operator_pods}"
        yield Finding("not-reported", cause, look)


def _is_held(lease: Body, now: float) -> bool:
    spec = lease["spec"]
    if not spec.get("holderIdentity") or not spec.get("renewTime"):
        return False
    # Clocks of the person's machine and of the cluster differ: twice the duration is late beyond doubt.
    return now - epoch(spec["renewTime"]) < 2 * float(spec.get("leaseDurationSeconds", 0)) + 10


def _spec_writes(queue: Body) -> Iterator[Body]:
    yield from (each for each in queue["metadata"].get("managedFields", []) if not each.get("subresource"))


def _created(queue: Body) -> float:
    return epoch(queue["metadata"]["creationTimestamp"])

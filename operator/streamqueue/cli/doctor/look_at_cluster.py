"""What the API server knows of a queue, as far as the person may read it."""

from __future__ import annotations

from streamqueue.api.template import COMPONENT
from streamqueue.cli.cluster import Cluster
from streamqueue.cli.doctor.facts import ClusterFacts
from streamqueue.controller.kinds import CRON_JOBS, DISRUPTION_BUDGETS, PODS, Body, Kind
from streamqueue.manifests import labels


async def look_at_cluster(cluster: Cluster, queue: Body) -> ClusterFacts:
    """Raises KubeError for anything but a missing right."""
    from streamqueue.cli.kube import JOBS

    unread: list[str] = []
    name = queue["metadata"]["name"]
    own = f"{labels.QUEUE}={name}"
    pods = await _list(cluster, PODS, f"{own},{COMPONENT}={labels.WORKER}", unread)
    cron_jobs = await _list(cluster, CRON_JOBS, own, unread)
    jobs = await _list(cluster, JOBS, f"{own},{COMPONENT}={labels.RECLAIM}", unread)
    others = await _list(cluster, DISRUPTION_BUDGETS, f"{labels.QUEUE}!={name}", unread)
    leases = await cluster.operator_leases()
    if leases is None:
        unread.append("Leases of the operator")
    return ClusterFacts(
        queue=queue,
        pods=pods or (),
        cron_job=cron_jobs[0] if cron_jobs else None,
        jobs=jobs or (),
        budgets=others or (),
        leases=leases,
        unread=tuple(unread),
    )


async def _list(cluster: Cluster, kind: Kind, selector: str, unread: list[str]) -> tuple[Body, ...] | None:
    from streamqueue.controller.cluster.kube import KubeError

    try:
        return tuple((await cluster.kube.list(kind, cluster.namespace, selector))[0])
    except KubeError as error:
        if error.status != 403:
            raise
        unread.append(kind.kind + "s")
        return None

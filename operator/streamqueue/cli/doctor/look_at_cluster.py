"""What the API server knows of a queue, as far as the person may read it."""

from __future__ import annotations

from streamqueue.api.template import COMPONENT
from streamqueue.cli.cluster import Cluster
from streamqueue.cli.doctor.facts import ClusterFacts
from streamqueue.controller.kinds import CRON_JOBS, LEASES, PODS, Body, Kind
from streamqueue.manifests import labels

OPERATOR_NAMESPACE = "streamqueue-system"  # where docs/install.md puts it


async def look_at_cluster(cluster: Cluster, queue: Body) -> ClusterFacts:
    """Raises KubeError for anything but a missing right."""
    from streamqueue.cli.kube import JOBS

    unread: list[str] = []
    name = queue["metadata"]["name"]
    own = f"{labels.QUEUE}={name}"
    pods = await _list(cluster, PODS, f"{own},{COMPONENT}={labels.WORKER}", unread)
    cron_jobs = await _list(cluster, CRON_JOBS, own, unread)
    jobs = await _list(cluster, JOBS, f"{own},{COMPONENT}={labels.RECLAIM}", unread)
    leases = await operator_leases(cluster)
    if leases is None:
        unread.append("Leases of the operator")
    return ClusterFacts(
        queue=queue,
        pods=pods or (),
        cron_job=cron_jobs[0] if cron_jobs else None,
        jobs=jobs or (),
        leases=leases,
        unread=tuple(unread),
    )


async def _list(cluster: Cluster, kind: Kind, selector: str, unread: list[str]) -> tuple[Body, ...] | None:
    from streamqueue.controller.kube import KubeError

    try:
        return tuple((await cluster.kube.list(kind, cluster.namespace, selector))[0])
    except KubeError as error:
        if error.status != 403:
            raise
        unread.append(kind.kind + "s")
        return None


async def operator_leases(cluster: Cluster) -> tuple[Body, ...] | None:
    """Wherever the operator lives; with few rights, where it usually does. None: not to be read."""
    from streamqueue.controller.kube import KubeError

    for namespace in (None, OPERATOR_NAMESPACE):
        try:
            found, _ = await cluster.kube.list(LEASES, namespace, labels.LEASES_SELECTOR)
        except KubeError as error:
            if error.status != 403:
                raise
        else:
            # None in that one namespace: it may live elsewhere.
            return tuple(found) if found or namespace is None else None
    return None

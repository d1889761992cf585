"""The leader's answer, through the API server: only its process knows, nothing is stored."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from streamqueue.cli.cluster import Cluster
from streamqueue.cli.errors import Failure
from streamqueue.controller.kinds import Body


class NotLookedAt(Failure):
    """The operator that leads has decided nothing about the queue."""


async def fetch(cluster: Cluster, queue: str) -> dict[str, Any]:
    """As `/decisions` gives it. Raises Failure where no operator answers, and KubeError."""
    return await ask(cluster, queue, await cluster.operator_leases())


async def ask(cluster: Cluster, queue: str, leases: Iterable[Body] | None) -> dict[str, Any]:
    """The same of who holds one of `leases`; None: they may not be read."""
    from streamqueue.controller.cluster.kube import KubeError

    if leases is None:
        raise Failure("you may not list Leases: ask for the right to, or for those of the operator's namespace")
    failure = Failure("no operator holds its Lease: streamqueue doctor " + queue)
    for lease in leases:
        pod, namespace = (lease["spec"].get("holderIdentity") or "").partition("_")[0], lease["metadata"]["namespace"]
        if not pod:
            continue
        try:
            return await cluster.kube.ask_pod(namespace, pod, f"decisions/{cluster.namespace}/{queue}")
        except KubeError as error:
            kind = NotLookedAt if "nothing decided yet" in error.message else Failure
            failure = kind(_sentence(error.status, error.message, namespace, pod))
    raise failure


def _sentence(status: int, message: str, namespace: str, pod: str) -> str:
    if status == 403:
        return f"you may not ask the operator: ask for the right to get pods/proxy in namespace {namespace}"
    if status == 404:
        return f"pod {pod} in namespace {namespace} knows no decision about this queue yet, or is an older release"
    return f"pod {pod} in namespace {namespace}: {message}"

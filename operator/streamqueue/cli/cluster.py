"""The person's own way to the API server: their kubeconfig, their rights."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING

from streamqueue.cli.errors import BadInput, Failure
from streamqueue.cli.options import Selection
from streamqueue.controller.kinds import LEASES, STREAM_QUEUES, Body
from streamqueue.manifests.labels import LEASES_SELECTOR

if TYPE_CHECKING:
    from streamqueue.cli.kube import PersonalKube

OPERATOR_NAMESPACE = "streamqueue-system"  # where docs/install.md puts it


@dataclass(frozen=True, slots=True)
class Cluster:
    """A connection, the namespace that is meant, and the context for programs that read the same kubeconfig."""

    kube: PersonalKube
    namespace: str
    context: str | None

    async def queue(self, name: str) -> Body:
        """The StreamQueue; raises BadInput with the names that come near."""
        found = await self.kube.get(STREAM_QUEUES, self.namespace, name)
        if found:
            return found
        names = [body["metadata"]["name"] for body in await self.queues()]
        near = get_close_matches(name, names, 3, 0.5) or names[:5]
        there = f"; there is {', '.join(near)}" if near else ""
        raise BadInput(f"no StreamQueue {name!r} in namespace {self.namespace}{there}")

    async def queues(self, everywhere: bool = False) -> list[Body]:
        return (await self.kube.list(STREAM_QUEUES, None if everywhere else self.namespace))[0]

    async def operator_leases(self) -> tuple[Body, ...] | None:
        """Wherever the operator lives; with few rights, where it usually does. None: not to be read."""
        from streamqueue.controller.cluster.kube import KubeError

        for namespace in (None, OPERATOR_NAMESPACE):
            try:
                found, _ = await self.kube.list(LEASES, namespace, LEASES_SELECTOR)
            except KubeError as error:
                if error.status != 403:
                    raise
            else:
                # None in that one namespace: it may live elsewhere.
                return tuple(found) if found or namespace is None else None
        return None


def no_queues(namespace: str | None) -> str:
    """What people are told of an empty list; None: of all namespaces."""
    return f"No StreamQueues in {'any namespace' if namespace is None else f'namespace {namespace}'}."


@asynccontextmanager
async def open_cluster(selection: Selection) -> AsyncIterator[Cluster]:
    """Connect; errors of the API server leave as Failure, or as BadInput where it found the input invalid."""
    # Loading the Kubernetes client takes a second or two: the straight way and completion go without.
    from streamqueue.cli.kube import connect
    from streamqueue.controller.cluster.kube import KubeError

    async with connect(selection.context) as (kube, namespace):
        try:
            yield Cluster(kube, selection.namespace or namespace, selection.context)
        except KubeError as error:
            refused = BadInput if error.status == 422 else Failure
            raise refused(_sentence(error.status, error.message)) from None


def _sentence(status: int, message: str) -> str:
    if status == 0:
        return f"the API server can't be reached: {message}"
    if status == 404:
        return "the cluster knows no StreamQueues: install the chart first"
    return message

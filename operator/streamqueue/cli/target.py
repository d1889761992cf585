"""What a command works on: a queue's spec and a client of its Redis."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from redis.asyncio import Redis as Client

from streamqueue.api.errors import SpecError
from streamqueue.api.keys import Keys
from streamqueue.api.parse import parse_spec
from streamqueue.api.spec import Handler, QueueSpec, Redis, SecretKey
from streamqueue.cli.cluster import Cluster, open_cluster
from streamqueue.cli.errors import BadInput, Failure
from streamqueue.cli.options import Selection
from streamqueue.cli.port_forward import cluster_address, lead_through, port_forward
from streamqueue.controller.kinds import SECRETS
from streamqueue.streams import Snapshot, SnapshotRequest, connect, take_snapshot
from streamqueue.streams.connection import credentials_for


@dataclass(frozen=True, slots=True)
class Target:
    """One queue. On the straight way `spec` holds defaults for all but stream and group."""

    selection: Selection
    spec: QueueSpec
    client: Client

    async def snapshot(self, *, of_group: bool = True) -> Snapshot:
        """The queue as Redis sees it now. Raises RedisProblem; Failure where there is no such stream, or no such group
        and it is `of_group`.
        """
        answer = await take_snapshot(self.client, SnapshotRequest(self.spec.stream, self.spec.group))
        if not answer.stream_exists:
            raise Failure(f"stream {self.spec.stream!r} does not exist: streamqueue doctor {self.selection.again}")
        if of_group and not answer.group_exists:
            raise Failure(
                f"stream {self.spec.stream!r} has no group {self.spec.group!r}: "
                f"streamqueue doctor {self.selection.again}"
            )
        return answer


@asynccontextmanager
async def open_target(selection: Selection) -> AsyncIterator[Target]:
    """By name with the kubeconfig, or straight. Raises BadInput, Failure, RedisProblem."""
    async with AsyncExitStack() as stack:
        if selection.straight:
            spec = straight_spec(selection)
            client = await stack.enter_async_context(connect(selection.redis or "", ca_file=selection.ca_file))
        else:
            cluster = await stack.enter_async_context(open_cluster(selection))
            spec = spec_of(await cluster.queue(selection.queue))
            client = await stack.enter_async_context(reach(cluster, spec.redis, selection))
        yield Target(selection, spec, client)


def straight_spec(selection: Selection) -> QueueSpec:
    """Raises BadInput for a stream name that can't be used."""
    stream, group = selection.stream or "", selection.group or ""
    try:
        Keys(stream, group)
    except ValueError as error:
        raise BadInput(f"--stream: {error}") from None
    return QueueSpec(redis=Redis(), stream=stream, group=group, handler=Handler(image=""))


def spec_of(body: Mapping[str, Any]) -> QueueSpec:
    """The typed spec of a StreamQueue; raises Failure where the operator couldn't use it either."""
    try:
        return parse_spec(body["spec"])
    except SpecError as error:
        raise Failure(f"StreamQueue {body['metadata']['name']} can't be used: {error}") from None


@asynccontextmanager
async def reach(cluster: Cluster, redis: Redis, selection: Selection) -> AsyncIterator[Client]:
    """A client of a queue's Redis, through the API server where it is a Service. Raises Failure, RedisProblem."""
    if selection.redis:
        async with connect(selection.redis, ca_file=selection.ca_file) as client:
            yield client
        return
    url, ca = redis.url or "", None
    if redis.secret_ref:
        url = await _secret(cluster, redis.secret_ref, "secretRef")
    if redis.ca_secret_ref and not selection.ca_file:
        ca = await _secret(cluster, redis.ca_secret_ref, "tls.caSecretRef")
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(
            connect(
                url, mode=redis.mode, ca_file=selection.ca_file, ca_data=ca, credentials=credentials_for(redis.auth)
            )
        )
        parts = urlsplit(url)
        by_sentinel = parts.scheme.endswith("+sentinel")  # who tells addresses that a tunnel doesn't lead to
        address = None if by_sentinel else cluster_address(parts.hostname or "", cluster.namespace)
        if address and await _is_service(cluster, address.namespace, address.service):
            forward = port_forward(address, parts.port or 6379, cluster.context)
            lead_through(client, await stack.enter_async_context(forward))
        yield client


async def _secret(cluster: Cluster, reference: SecretKey, field: str) -> str:
    """With the person's own rights to the Secret."""
    from streamqueue.controller.cluster.kube import KubeError

    name, key = reference.name, reference.key
    where = f"Secret {name} in namespace {cluster.namespace}"
    try:
        secret = await cluster.kube.get(SECRETS, cluster.namespace, name)
    except KubeError as error:
        if error.status != 403:
            raise
        raise Failure(f"you may not read {where}: ask for the right to get it, or give --redis URL") from None
    if secret is None:
        raise Failure(f"spec.redis.{field}: there is no {where}: create it")
    encoded = secret.get("data", {}).get(key)
    if not encoded:
        raise Failure(f"spec.redis.{field}: {where} has no key {key}: add it")
    return base64.b64decode(encoded).decode(errors="replace").strip()


async def _is_service(cluster: Cluster, namespace: str, name: str) -> bool:
    from streamqueue.cli.kube import SERVICES
    from streamqueue.controller.cluster.kube import KubeError

    try:
        return await cluster.kube.get(SERVICES, namespace, name) is not None
    except KubeError as error:
        if error.status != 403:
            raise
        return False  # nobody can tell: the direct way it is

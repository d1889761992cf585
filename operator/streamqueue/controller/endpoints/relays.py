"""Results on their way to other streams: outboxes are emptied beside the rounds, which wait for no other endpoint."""

from __future__ import annotations

import asyncio
import logging

from streamqueue.api.keys import Keys, shown, stream_on_next_redis
from streamqueue.api.spec import QueueSpec
from streamqueue.controller.cluster.store import Key
from streamqueue.controller.endpoints.endpoints import NEXT, Endpoint, Endpoints
from streamqueue.controller.endpoints.handing_on import HandingOn
from streamqueue.controller.trouble import Trouble, trouble_of
from streamqueue.maintenance.relay import NO_NEXT_REDIS, relay
from streamqueue.manifests import Fingerprints
from streamqueue.streams.errors import ProblemKind, RedisProblem

log = logging.getLogger(__name__)

BUDGET = 1.0  # seconds of a pass

# The endpoint of `next.redis`, or why it can't be had; None where the spec has none.
NextEndpoint = Endpoint | Trouble | None


class Relays:
    def __init__(self, endpoints: Endpoints) -> None:
        self._endpoints = endpoints
        self._passes: dict[Key, asyncio.Task[None]] = {}

    async def next_endpoint(self, namespace: str, spec: QueueSpec) -> NextEndpoint:
        return await self._endpoints.find(namespace, spec.next_redis, NEXT) if spec.next_redis else None

    def begin(self, key: Key, spec: QueueSpec, home: Endpoint, next_endpoint: NextEndpoint, memory: HandingOn) -> None:
        """Begin a pass, unless one of this queue is under way. When it ends it puts into `memory.failing` which streams
        took nothing.
        """
        if not self.under_way(key):
            task = self._passes[key] = asyncio.create_task(self._pass(key, spec, home, next_endpoint, memory))
            task.add_done_callback(lambda _: self._passes.pop(key))

    def under_way(self, key: Key) -> bool:
        return key in self._passes

    async def close(self) -> None:
        passes = list(self._passes.values())
        for each in passes:
            each.cancel()
        await asyncio.gather(*passes, return_exceptions=True)

    async def _pass(
        self, key: Key, spec: QueueSpec, home: Endpoint, next_endpoint: NextEndpoint, memory: HandingOn
    ) -> None:
        there = next_endpoint.client if isinstance(next_endpoint, Endpoint) else NO_NEXT_REDIS
        try:
            report = await relay(home.client, Keys(spec.stream, spec.group), budget=BUDGET, next_redis=there)
        except RedisProblem as problem:
            log.warning("%s/%s: outboxes were not read: %s", *key, problem)
            return
        memory.failing = {
            shown(target): _why(target, problem, next_endpoint) for target, problem in report.stuck.items()
        }
        for stream, why in memory.failing.items():
            log.warning("%s/%s: results for stream %s wait in the outbox: %s", *key, stream, why.message)
        if spec.next_redis and any(each.kind in (ProblemKind.AUTH, ProblemKind.TLS) for each in report.stuck.values()):
            self._endpoints.forget(key[0], spec.next_redis)


def secrets_of(home: Endpoint | None, next_endpoint: NextEndpoint) -> Fingerprints | None:
    """What tells worker pods of changed Secrets; None without one, and where one can't be read."""
    if home is None or isinstance(next_endpoint, Trouble):
        return None
    return Fingerprints.of_all([each.secrets for each in (home, next_endpoint) if each and each.secrets])


def comes_back(spec: QueueSpec, home: Endpoint | None, next_endpoint: NextEndpoint) -> bool:
    """Whether results would be tasks of the queue again, as URLs in Secrets may hide from the spec's own rules."""
    if home is None or not isinstance(next_endpoint, Endpoint) or spec.next is None:
        return False
    return (next_endpoint.server, spec.next.stream) == (home.server, spec.stream)


def _why(target: str, problem: RedisProblem, next_endpoint: NextEndpoint) -> Trouble:
    if isinstance(next_endpoint, Trouble) and stream_on_next_redis(target) is not None:
        return next_endpoint
    return trouble_of(problem)

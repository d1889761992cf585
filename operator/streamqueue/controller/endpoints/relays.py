"""Results on their way to other streams: outboxes are emptied beside the rounds, which wait for no other endpoint."""

from __future__ import annotations

import asyncio
import logging

from streamqueue.api.keys import Keys, shown, stream_beyond
from streamqueue.api.spec import QueueSpec
from streamqueue.controller.cluster.store import Key
from streamqueue.controller.endpoints.endpoints import NEXT, Endpoint, Endpoints
from streamqueue.controller.endpoints.handing_on import HandingOn
from streamqueue.controller.trouble import Trouble, trouble_of
from streamqueue.maintenance.relay import NOWHERE, relay
from streamqueue.manifests import Fingerprints
from streamqueue.streams.errors import ProblemKind, RedisProblem

log = logging.getLogger(__name__)

BUDGET = 1.0  # seconds of a pass

# The endpoint of `next.redis`, or why it can't be had; None where the spec has none.
Beyond = Endpoint | Trouble | None


class Relays:
    def __init__(self, endpoints: Endpoints) -> None:
        self._endpoints = endpoints
        self._passes: dict[Key, asyncio.Task[None]] = {}

    async def beyond(self, namespace: str, spec: QueueSpec) -> Beyond:
        return await self._endpoints.find(namespace, spec.beyond, NEXT) if spec.beyond else None

    def begin(self, key: Key, spec: QueueSpec, home: Endpoint, beyond: Beyond, memory: HandingOn) -> None:
        """One pass, unless one of this queue is under way; `memory.failing` is what took nothing, once it has ended."""
        if not self.under_way(key):
            task = self._passes[key] = asyncio.create_task(self._pass(key, spec, home, beyond, memory))
            task.add_done_callback(lambda _: self._passes.pop(key))

    def under_way(self, key: Key) -> bool:
        return key in self._passes

    async def close(self) -> None:
        passes = list(self._passes.values())
        for each in passes:
            each.cancel()
        await asyncio.gather(*passes, return_exceptions=True)

    async def _pass(self, key: Key, spec: QueueSpec, home: Endpoint, beyond: Beyond, memory: HandingOn) -> None:
        there = beyond.client if isinstance(beyond, Endpoint) else NOWHERE
        try:
            report = await relay(home.client, Keys(spec.stream, spec.group), budget=BUDGET, beyond=there)
        except RedisProblem as problem:
            log.warning("%s/%s: outboxes were not read: %s", *key, problem)
            return
        memory.failing = {shown(target): _why(target, problem, beyond) for target, problem in report.stuck.items()}
        for stream, why in memory.failing.items():
            log.warning("%s/%s: results for stream %s wait in the outbox: %s", *key, stream, why.message)
        if spec.beyond and any(each.kind in (ProblemKind.AUTH, ProblemKind.TLS) for each in report.stuck.values()):
            self._endpoints.forget(key[0], spec.beyond)


def secrets_of(home: Endpoint | None, beyond: Beyond) -> Fingerprints | None:
    """What tells worker pods of changed Secrets; None without one, and where one can't be read."""
    if home is None or isinstance(beyond, Trouble):
        return None
    return Fingerprints.of_all([each.secrets for each in (home, beyond) if each and each.secrets])


def comes_back(spec: QueueSpec, home: Endpoint | None, beyond: Beyond) -> bool:
    """Whether results would be tasks of the queue again, as URLs in Secrets may hide from the spec's own rules."""
    if home is None or not isinstance(beyond, Endpoint) or spec.next is None:
        return False
    return (beyond.server, spec.next.stream) == (home.server, spec.stream)


def _why(target: str, problem: RedisProblem, beyond: Beyond) -> Trouble:
    if isinstance(beyond, Trouble) and stream_beyond(target) is not None:
        return beyond
    return trouble_of(problem)

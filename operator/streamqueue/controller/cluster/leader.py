"""Leader election by a Lease. Standbys watch and stay warm; only decide and act are the leader's.

The API server checks no lease: what fences a stalled leader is the resourceVersion that writes of fleets carry, and the
age of the last renewal that every write checks.
"""

from __future__ import annotations

import asyncio
import datetime
import logging
import time

from streamqueue.controller.cluster.kube import WRITE_TIMEOUT, Kube, KubeError
from streamqueue.controller.kinds import LEASES, Body
from streamqueue.manifests.labels import LEASE_LABELS

log = logging.getLogger(__name__)

DURATION = 8.0  # seconds without a renewal until others may take the lease
RENEW_DEADLINE = 5.0  # seconds without a renewal until we stop writing, and end
RETRY = 1.0  # seconds between tries


class LeaseLost(Exception):
    """The lease could not be renewed in time: the process must end, somebody else may lead now."""


class Leader:
    def __init__(self, kube: Kube, namespace: str, name: str, identity: str) -> None:
        self._kube = kube
        self._namespace = namespace
        self._name = name
        self._identity = identity
        self._renewed: float | None = None  # monotonic, taken before the request
        self._written: Body | None = None  # the lease as our last write left it; none where that is in doubt
        self._seen: tuple[str, str] | None = None  # the other holder and its renewTime
        self._seen_at = 0.0

    def leads(self) -> bool:
        return self._renewed is not None and time.monotonic() - self._renewed < RENEW_DEADLINE

    async def acquire(self) -> None:
        """Return once the lease is ours."""
        while not await self._try():  # noqa: ASYNC110 - the event is at the API server
            await asyncio.sleep(RETRY)
        log.info("leading as %s", self._identity)

    async def keep(self) -> None:
        """Renew for ever; raises `LeaseLost` when that failed for too long."""
        while True:
            await asyncio.sleep(RETRY)
            if not await self._try() and not self.leads():
                raise LeaseLost(f"lease {self._name} not renewed for {RENEW_DEADLINE:.0f} s")

    async def release(self) -> None:
        """Let the next one in at once; call only after the last write."""
        if not self.leads():
            return
        self._renewed = None
        try:
            lease = await self._kube.get(LEASES, self._namespace, self._name)
            if lease and lease["spec"].get("holderIdentity") == self._identity:
                lease["spec"] |= {"holderIdentity": "", "leaseDurationSeconds": 1}
                await self._kube.replace(LEASES, lease, gated=False)
        except KubeError as error:
            log.warning("lease not released: %s", error)

    async def _try(self) -> bool:
        started = time.monotonic()
        written, self._written = self._written, None
        try:
            lease = written or await self._kube.get(LEASES, self._namespace, self._name, WRITE_TIMEOUT)
            if lease is None:
                self._written = await self._kube.create(LEASES, self._body(), gated=False)
            elif self._may_take(lease):
                self._written = await self._kube.replace(LEASES, self._body(lease), gated=False)
            else:
                self._renewed = None
                return False
        except KubeError as error:
            if written and error.status in (404, 409):
                return await self._try()  # somebody else wrote it, or removed it: look at once
            if error.status != 409:
                log.warning("lease: %s", error)
            return False
        self._renewed = started
        return True

    def _may_take(self, lease: Body) -> bool:
        holder, renewed = lease["spec"].get("holderIdentity") or "", lease["spec"].get("renewTime") or ""
        if holder in ("", self._identity):
            return True
        # Judged by our own clock: the holder's may be off.
        if self._seen != (holder, renewed):
            self._seen, self._seen_at = (holder, renewed), time.monotonic()
        return time.monotonic() - self._seen_at > DURATION

    def _body(self, lease: Body | None = None) -> Body:
        now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        spec = dict(lease["spec"]) if lease else {}
        if spec.get("holderIdentity") != self._identity:
            spec |= {"acquireTime": now, "leaseTransitions": spec.get("leaseTransitions", 0) + (1 if lease else 0)}
        spec |= {"holderIdentity": self._identity, "renewTime": now, "leaseDurationSeconds": int(DURATION)}
        metadata: Body = dict(lease["metadata"]) if lease else {"name": self._name, "namespace": self._namespace}
        metadata["labels"] = metadata.get("labels", {}) | LEASE_LABELS
        return {"apiVersion": LEASES.api_version, "kind": LEASES.kind, "metadata": metadata, "spec": spec}

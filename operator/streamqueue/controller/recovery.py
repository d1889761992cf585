"""Hands stuck entries on: at once on evidence of a crash, else by the visibility timeout.

How is the business of `maintenance`; the reclaim CronJob makes the same pass without the operator.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field, replace

from redis.asyncio import Redis as Client

from streamqueue import maintenance
from streamqueue.api.spec import Handler, QueueSpec
from streamqueue.controller.cluster.kube import KubeError
from streamqueue.controller.cluster.store import Holdings
from streamqueue.controller.pods.consumers import pod_of
from streamqueue.controller.pods.crash import Crash, crash_of_gone, crashes
from streamqueue.manifests import grace_period
from streamqueue.streams.snapshot import Snapshot

log = logging.getLogger(__name__)

# Whether a pod of this name and uid is at the API server; raises `KubeError`.
Exists = Callable[[str, str], Awaitable[bool]]

ABANDONED_INTERVAL = 5.0  # seconds between looks for entries that a living loop gave up
SWEEP_INTERVAL = 10.0  # seconds between passes while something is past the visibility timeout
NEWS_INTERVAL = 60.0  # seconds between events that tell of it
SWEEP_BUDGET = 2.0  # seconds a pass may hold up the queue's round; the CronJob has minutes
# The server is looked at this often while work is pending, so that a restart is noticed when it happens and not by the
# pass that would act on idle times.
LOOK_INTERVAL = 30.0  # seconds
_SETTLED_KEPT = 1000


@dataclass(slots=True)
class Recovery:
    """What is remembered between rounds."""

    # Crashes by id: those whose entries are still to be returned, and those that were dealt with.
    crashes: dict[str, Crash] = field(default_factory=dict)
    _settled: dict[str, None] = field(default_factory=dict)
    # When the last of each was done, on the loop's clock.
    _checked_abandoned: float = 0.0
    _looked: float = 0.0
    _swept: float = 0.0
    _told: float = -math.inf  # the event of the last ones
    _untold: int = 0  # tasks that came back since that event

    def gather(self, held: Holdings, handler: Handler) -> None:
        """Take note of the crashes that the pods' statuses tell of. Their entries are returned after the next look at
        the stream: an earlier one may not show all that they held.
        """
        now, grace = time.time(), grace_period(handler)
        task_time = handler.timeout * handler.batch
        found = [crash for pod in held.pods.values() for crash in crashes(pod, task_time)]
        found += [crash_of_gone(pod, now, grace) for _, pod in held.gone]
        held.gone.clear()
        for crash in found:
            if crash.id not in self._settled:
                self.crashes.setdefault(crash.id, replace(crash, not_before=max(crash.not_before, now)))

    async def recover(
        self, client: Client, spec: QueueSpec, held: Holdings, snapshot: Snapshot, skew: float, exists: Exists
    ) -> int:
        """Return what dead workers, and loops that read on past a failure, still hold; the number of entries returned.

        `skew`: seconds by which the server's clock is ahead of ours. Raises RedisProblem; what was not dealt with is
        tried again next round.
        """
        now = time.monotonic()
        returned = await self._after_crashes(client, spec, snapshot, skew, exists)
        if spec.handler.concurrency == 1 and now - self._checked_abandoned >= ABANDONED_INTERVAL:
            self._checked_abandoned = now
            returned += await self._abandoned(client, spec, held, snapshot)
        if not snapshot.pending:
            return returned
        visibility = spec.delivery.visibility_timeout
        overdue = snapshot.oldest_pending_age is not None and snapshot.oldest_pending_age > visibility
        if overdue and now - self._swept >= SWEEP_INTERVAL:
            self._swept = self._looked = now
            report = await maintenance.sweep(client, spec, budget=SWEEP_BUDGET)
            returned += report.settled
        elif now - self._looked >= min(LOOK_INTERVAL, visibility / 4):
            self._looked = now
            await maintenance.check_server(client, spec)
        return returned

    def news(self, returned: int) -> int:
        """Tasks that came back, these included, of which nobody was told; 0 while the last news are fresh."""
        now = time.monotonic()
        self._untold += returned
        if not self._untold or now - self._told < NEWS_INTERVAL:
            return 0
        untold, self._untold, self._told = self._untold, 0, now
        return untold

    async def _after_crashes(
        self, client: Client, spec: QueueSpec, snapshot: Snapshot, skew: float, exists: Exists
    ) -> int:
        returned = 0
        # A look from before the crash may not show what the worker held: it settles nothing.
        looked = snapshot.time - skew
        for crash in [crash for crash in self.crashes.values() if crash.not_before <= looked]:
            if crash.unseen and not await self._is_gone(crash, exists):
                continue
            for consumer in _holders(snapshot, crash.consumer):
                before = crash.before + skew
                report = await maintenance.release(client, spec, consumer, before, crash.cause, charge=crash.charged)
                returned += report.settled
            self._settle(crash)
        return returned

    async def _is_gone(self, crash: Crash, exists: Exists) -> bool:
        """To a watch by label a pod is deleted, too, when somebody takes a label off, as to look into it at leisure:
        its worker works on, and that is no evidence.
        """
        try:
            lives = await exists(crash.consumer, crash.unseen)
        except KubeError as error:
            log.warning("%s: whether the pod is gone is asked again: %s", crash.consumer, error)
            return False
        if lives:
            log.info("%s lives, without the labels that it had: its tasks stay with it", crash.consumer)
            del self.crashes[crash.id]
        return not lives

    async def _abandoned(self, client: Client, spec: QueueSpec, held: Holdings, snapshot: Snapshot) -> int:
        """Entries of living loops that went on after a failure without acknowledging.

        Not of a pod whose crash is still to be judged: the loop before it left them, and the dead letters will say so.
        """
        returned, now = 0, time.time()
        crashed = {crash.consumer for crash in self.crashes.values() if crash.not_before <= now}
        for view in snapshot.consumers:
            if view.pending and (pod := pod_of(view.name)) in held.pods and pod not in crashed:
                report = await maintenance.abandoned(client, spec, view.name)
                returned += report.settled
        return returned

    def _settle(self, crash: Crash) -> None:
        del self.crashes[crash.id]
        self._settled[crash.id] = None
        while len(self._settled) > _SETTLED_KEPT:
            del self._settled[next(iter(self._settled))]


def _holders(snapshot: Snapshot, pod: str) -> Iterator[str]:
    """The pod's consumers that hold entries; the pod's own name where the list of consumers was cut."""
    named = [view for view in snapshot.consumers if pod_of(view.name) == pod]
    yield from (view.name for view in named if view.pending)
    if not named and snapshot.consumers_total > len(snapshot.consumers):
        yield pod

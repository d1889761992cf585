"""Carries a decision out: marks on pods, before a count that falls, and the objects that the queue owns."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from contextlib import nullcontext
from typing import NamedTuple

from streamqueue.api.spec import QueueSpec
from streamqueue.controller.cluster.children import NameConflict, converge
from streamqueue.controller.cluster.events import Recorder
from streamqueue.controller.cluster.kube import Kube, KubeError, NotLeader
from streamqueue.controller.cluster.refusal import Refused
from streamqueue.controller.cluster.store import Holdings, Store
from streamqueue.controller.desired import desired
from streamqueue.controller.kinds import DEPLOYMENTS, PODS, Body
from streamqueue.controller.observe import present
from streamqueue.controller.pods import marks
from streamqueue.controller.runtime import Runtime
from streamqueue.controller.settings import Settings
from streamqueue.controller.status import metrics
from streamqueue.manifests import Fingerprints
from streamqueue.scaling import Decision
from streamqueue.streams.snapshot import Snapshot

log = logging.getLogger(__name__)

# First rounds that write at once. Each writes all that its queue owns, and a new leader has them all to do: a queue
# that wakes meanwhile must find a place between them.
BEGINNERS = 8
MARKS = 4  # pods of a queue that are told at once
STALE = 3.0  # seconds after which a look lets no pod go: while an API server is slow to take marks, idle pods get work

_OVERWRITTEN = (
    "somebody set the Deployment's replicas from {} to {}, which ends workers, busy or not, where it is fewer: keep "
    "autoscalers and people from it; to pin the count, kubectl scale the StreamQueue"
)


class Basis(NamedTuple):
    """What a decision was made on."""

    replicas: int  # of the live Deployment
    looked: float  # monotonic: when the server had answered


class Actor:
    def __init__(self, kube: Kube, recorder: Recorder, store: Store, settings: Settings) -> None:
        self._kube = kube
        self._recorder = recorder
        self._store = store
        self._settings = settings
        self._beginners = asyncio.Semaphore(BEGINNERS)

    async def carry_out(
        self,
        held: Holdings,
        runtime: Runtime,
        spec: QueueSpec,
        decision: Decision,
        basis: Basis,
        snapshot: Snapshot | None,
        secrets: Fingerprints | None,
        *,
        refused: bool = False,
    ) -> None:
        """`refused`: the API server has refused what this generation asks for.

        Raises `NameConflict`, `Refused`, `KubeError`.
        """
        fleet, before = held.owned.get(DEPLOYMENTS), basis.replicas
        if (ours := runtime.applied.overwritten(fleet)) is not None:
            self._recorder.say(
                held.body, "Warning", "ReplicasOverwritten", _OVERWRITTEN.format(ours, runtime.applied.replicas)
            )
        rises = decision.replicas > before
        if not rises:
            await self._mark(held, runtime, decision.victims)
        if decision.replicas < before and time.monotonic() - basis.looked > STALE:
            raise KubeError(409, "Conflict", "the look that lets pods go is too old by now")
        edited = runtime.applied.is_edited(fleet)
        settings = self._settings
        wanted = list(desired(held, spec, decision, snapshot, secrets, settings, refused=refused, edited=edited))
        failure: Exception | None = None
        try:
            async with self._beginners if runtime.fresh else nullcontext():
                with metrics.APPLY.time():
                    await converge(self._kube, self._store, held, runtime.applied, wanted, seen=before)
        except (NameConflict, Refused, KubeError) as error:
            failure = error
        if rises:
            await self._mark(held, runtime, decision.victims)  # for which more hands need not wait
        if failure:
            raise failure
        if not any(kind is DEPLOYMENTS for kind, _ in wanted):
            return
        if decision.replicas != before:
            metrics.DECISIONS.labels(*held.key, decision.reason).inc()
        if (before == 0) != (decision.replicas == 0):
            self._recorder.say(held.body, "Normal", decision.reason, decision.sentence)

    async def _mark(self, held: Holdings, runtime: Runtime, victims: Sequence[str]) -> None:
        """Tell the ReplicaSet and the node autoscalers which pods may go.

        A pod that can't be told holds up nobody: none goes without its mark, and others may be needed.
        """
        now, was_unmarked, runtime.unmarked = time.monotonic(), runtime.unmarked, None
        found = [(body, marks.changes(body, victims, runtime.idle_since, now)) for body in present(held)]
        due = [(body, changes) for body, changes in found if changes and "deletionTimestamp" not in body["metadata"]]
        for start in range(0, len(due), MARKS):
            told = (self._annotate(*each) for each in due[start : start + MARKS])
            errors = [error for error in await asyncio.gather(*told) if error and error.status != 404]
            if errors:
                level = logging.DEBUG if was_unmarked or runtime.unmarked else logging.WARNING
                log.log(level, "%d pods not marked: %s", len(errors), errors[0])
                runtime.unmarked = errors[0]
            if any(not error.status for error in errors):
                return  # the others would wait as long

    async def _annotate(self, pod: Body, changes: marks.Changes) -> KubeError | None:
        """The error, if there is one; raises `NotLeader`."""
        metadata = pod["metadata"]
        try:
            written = await self._kube.annotate(PODS, metadata["namespace"], metadata["name"], changes)
        except NotLeader:
            raise
        except KubeError as error:
            return error
        self._store.put(PODS, written)
        return None

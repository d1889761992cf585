"""One round of one queue: observe, decide, act, report."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Sequence

from redis.asyncio import Redis as Client

from streamqueue import manifests
from streamqueue.api.spec import QueueSpec
from streamqueue.controller import pods as workers
from streamqueue.controller import recovery
from streamqueue.controller.assess import Facts, Trouble
from streamqueue.controller.children import NameConflict, Refused, converge
from streamqueue.controller.consumers import Attribution, attribute
from streamqueue.controller.endpoints import Endpoint
from streamqueue.controller.kinds import CRON_JOBS, DEPLOYMENTS, DISRUPTION_BUDGETS, PODS, SERVICE_ACCOUNTS, Kind
from streamqueue.controller.kube import Body, Kube, KubeError, NotLeader
from streamqueue.controller.observe import live_replicas, observe
from streamqueue.controller.report import event, owner_of, report
from streamqueue.controller.runtime import Runtime
from streamqueue.controller.settings import Settings
from streamqueue.controller.store import Holdings, Store
from streamqueue.scaling import Decision, decide
from streamqueue.streams.errors import ProblemKind, RedisProblem
from streamqueue.streams.group import ensure_group
from streamqueue.streams.snapshot import Snapshot

log = logging.getLogger(__name__)

Reading = Snapshot | Trouble

# The server answers, but not about this stream.
_OF_THE_STREAM = frozenset({ProblemKind.WRONG_TYPE, ProblemKind.NO_GROUP, ProblemKind.NO_STREAM})


class Rounds:
    def __init__(self, kube: Kube, store: Store, settings: Settings) -> None:
        self._kube = kube
        self._store = store
        self._settings = settings

    async def reject(self, held: Holdings, runtime: Runtime, trouble: Trouble) -> None:
        """The spec can't be used: say so, and leave everything as it is."""
        facts = Facts(rejected=trouble, pods=list(held.pods.values()))
        await report(self._kube, held, facts, runtime.reported)

    async def run(
        self, held: Holdings, runtime: Runtime, spec: QueueSpec, reading: Reading, endpoint: Endpoint | None
    ) -> None:
        """`reading` is what the server said, or why it said nothing; no `endpoint` where the spec leads to none."""
        assert held.queue is not None
        facts = Facts(spec=spec, pods=list(held.pods.values()), now=time.time())
        recovery.gather(runtime, held, manifests.grace_period(spec.handler))
        if isinstance(reading, Snapshot) and endpoint:
            reading = await self._with_group(endpoint.client, held, runtime, spec, reading)
        attribution = Attribution({}, ())
        if isinstance(reading, Snapshot):
            facts.snapshot = reading
            attribution = self._attribution(held, reading)
            facts.attribution = attribution
            facts.shared_consumers = runtime.shared_consumers = _shared(runtime, attribution, reading)
        elif reading.reason in {kind.value for kind in _OF_THE_STREAM}:
            facts.stream = reading
        else:
            facts.redis = reading
        now = time.monotonic()
        observation = observe(held, facts.snapshot, attribution, now=now, clock_offset=now - time.time())
        decision, runtime.memory = decide(spec.scaling, runtime.memory, observation)
        facts.decision = decision
        try:
            await self._act(held, runtime, spec, decision, facts.snapshot, endpoint.secret_hash if endpoint else None)
        except NameConflict as conflict:
            facts.conflict = Trouble("NameConflict", str(conflict))
        except Refused as refused:
            runtime.refused_generation = held.queue["metadata"]["generation"]
            facts.rejected = Trouble("TemplateInvalid", str(refused))
        if facts.snapshot and endpoint:
            await self._recover(endpoint.client, spec, runtime, held, facts.snapshot)
        await report(self._kube, held, facts, runtime.reported)

    async def _with_group(
        self, client: Client, held: Holdings, runtime: Runtime, spec: QueueSpec, snapshot: Snapshot
    ) -> Reading:
        """Create the group where it is missing. The counters of a missing group are true zeros."""
        assert held.queue is not None
        if snapshot.group_exists:
            runtime.had_group = True
            return snapshot
        try:
            await ensure_group(client, spec.stream, spec.group, spec.start_from)
        except RedisProblem as problem:
            return trouble_of(problem)
        what = "group" if snapshot.stream_exists else "stream"
        if runtime.had_group:
            message = f"the {what} was deleted under way: {what} and group are there again, what they held is not"
            await event(self._kube, held.queue, "Warning", "GroupRecreated", message)
        else:
            message = f"group {spec.group} of stream {spec.stream} begins at {spec.start_from}"
            await event(self._kube, held.queue, "Normal", "GroupCreated", message)
        runtime.had_group = True
        return snapshot

    def _attribution(self, held: Holdings, snapshot: Snapshot) -> Attribution:
        assert held.queue is not None
        holding = {view.name: view.pending for view in snapshot.consumers}
        complete = snapshot.consumers_total <= len(snapshot.consumers)
        return attribute(held.queue["metadata"]["name"], held.pods, holding, complete)

    async def _act(
        self,
        held: Holdings,
        runtime: Runtime,
        spec: QueueSpec,
        decision: Decision,
        snapshot: Snapshot | None,
        secret: str | None,
    ) -> None:
        before = live_replicas(held)
        await self._mark(held, decision.victims)
        try:
            await converge(
                self._kube,
                self._store,
                held,
                runtime.applied,
                self._desired(held, runtime, spec, decision, snapshot, secret),
            )
        except KubeError as error:
            if error.status != 409 or isinstance(error, NotLeader):
                raise
            log.info("decided on an older state, again next round: %s", error.message)
            return
        if (before == 0) != (decision.replicas == 0) and held.queue is not None:
            await event(self._kube, held.queue, "Normal", decision.reason, decision.sentence)

    def _desired(
        self,
        held: Holdings,
        runtime: Runtime,
        spec: QueueSpec,
        decision: Decision,
        snapshot: Snapshot | None,
        secret: str | None,
    ) -> Iterable[tuple[Kind, Body]]:
        assert held.queue is not None
        owner = owner_of(held.queue)
        image, policy = self._settings.image, self._settings.image_pull_policy
        suspended = _suspended(held, spec, decision, snapshot)
        yield SERVICE_ACCOUNTS, manifests.service_account(owner)
        yield DISRUPTION_BUDGETS, manifests.disruption_budget(owner)
        cron_job = manifests.cron_job(owner, spec, image=image, suspended=suspended, pull_policy=policy)
        yield CRON_JOBS, cron_job
        live = held.owned.get(DEPLOYMENTS)
        if secret is None and spec.redis.secret_ref and live:
            secret = manifests.live_secret_hash(live)  # the Secret can't be read now: that rolls no pods
        deployment = manifests.deployment(owner, spec, replicas=decision.replicas, secret_hash=secret)
        refused = runtime.refused_generation == owner.generation
        yield DEPLOYMENTS, manifests.settle_template(deployment, live, refused=refused) if live else deployment

    async def _mark(self, held: Holdings, victims: Sequence[str]) -> None:
        """Tell the ReplicaSet which pods to take first; take back what was told when the plan changes."""
        for name, body in list(held.pods.items()):
            if workers.is_marked(body) == (name in victims) or "deletionTimestamp" in body["metadata"]:
                continue
            cost = {workers.DELETION_COST: workers.VICTIM_COST if name in victims else None}
            try:
                self._store.put(PODS, await self._kube.annotate(PODS, body["metadata"]["namespace"], name, cost))
            except KubeError as error:
                if error.status != 404:
                    raise

    async def _recover(
        self, client: Client, spec: QueueSpec, runtime: Runtime, held: Holdings, snapshot: Snapshot
    ) -> None:
        assert held.queue is not None
        try:
            returned = await recovery.recover(client, spec, runtime, held, snapshot)
        except RedisProblem as problem:
            log.warning("%s: entries of dead workers stay pending: %s", held.queue["metadata"]["name"], problem)
            return
        if returned:
            message = f"{returned} task(s) of dead or failed workers returned to work"
            await event(self._kube, held.queue, "Normal", "Recovered", message)


def trouble_of(problem: RedisProblem) -> Trouble:
    return Trouble(problem.kind.value, str(problem))


def _shared(runtime: Runtime, attribution: Attribution, snapshot: Snapshot) -> bool:
    """Said until work is held under pods' names again, or the condition would come and go with each task."""
    if attribution.strangers:
        return True
    return runtime.shared_consumers and snapshot.pending == 0


def _suspended(held: Holdings, spec: QueueSpec, decision: Decision, snapshot: Snapshot | None) -> bool:
    """The reclaim CronJob rests while nothing is known to wait or pend; on unknown it stays as it is."""
    if spec.reclaim.suspend:
        return True
    if snapshot is None:
        live = held.owned.get(CRON_JOBS)
        return bool(live and live["spec"].get("suspend"))
    return not (snapshot.undelivered or snapshot.pending or decision.replicas)

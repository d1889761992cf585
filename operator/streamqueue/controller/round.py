"""One round of one queue: observe, decide, act, report."""

from __future__ import annotations

import logging
import time
from collections.abc import Container
from dataclasses import dataclass
from functools import partial

from streamqueue.api.keys import Keys
from streamqueue.api.spec import QueueSpec
from streamqueue.controller import live_returns
from streamqueue.controller.act import Actor, Basis
from streamqueue.controller.cluster.children import NameConflict
from streamqueue.controller.cluster.events import Recorder
from streamqueue.controller.cluster.kube import Kube, KubeError, NotLeader
from streamqueue.controller.cluster.refusal import Refused
from streamqueue.controller.cluster.store import Holdings, Store
from streamqueue.controller.endpoints.endpoints import Endpoint, Endpoints
from streamqueue.controller.endpoints.relays import NextEndpoint, Relays, comes_back, secrets_of
from streamqueue.controller.endpoints.wake import Sleeper
from streamqueue.controller.groups import with_group
from streamqueue.controller.kinds import DEPLOYMENTS, PODS
from streamqueue.controller.observe import observe, present
from streamqueue.controller.pods import draining, marks
from streamqueue.controller.pods.consumers import Attribution, attribute
from streamqueue.controller.runtime import Runtime
from streamqueue.controller.settings import Settings
from streamqueue.controller.status import metrics
from streamqueue.controller.status.assess import Facts, unmade
from streamqueue.controller.status.progress import progress
from streamqueue.controller.status.report import report
from streamqueue.controller.status.trimming import lost_undelivered
from streamqueue.controller.trouble import Trouble
from streamqueue.scaling import Decision, Memory, Observation, decide, lead, settling
from streamqueue.scaling.memory import patience
from streamqueue.streams.enqueue import promote
from streamqueue.streams.errors import ProblemKind, RedisProblem
from streamqueue.streams.snapshot import Snapshot

log = logging.getLogger(__name__)

Reading = Snapshot | Trouble

PATIENCE = 60.0  # seconds for which no write may succeed: an API server that restarts is no news

_COMES_BACK = Trouble("Invalid", "spec.next leads to the queue's own stream, and every result would be a task again")
# The server answers, but not about this stream.
_OF_THE_STREAM = frozenset({ProblemKind.WRONG_TYPE, ProblemKind.NO_GROUP, ProblemKind.NO_STREAM})


class Rounds:
    """The rounds of all queues: what they have in common."""

    def __init__(self, kube: Kube, recorder: Recorder, store: Store, settings: Settings, endpoints: Endpoints) -> None:
        self.kube = kube
        self.recorder = recorder
        self.actor = Actor(kube, recorder, store, settings)
        self.relays = Relays(endpoints)

    async def close(self) -> None:
        await self.relays.close()

    async def reject(self, held: Holdings, runtime: Runtime, trouble: Trouble) -> None:
        """The spec can't be used: say so, and leave everything as it is."""
        facts = Facts(rejected=trouble, generation=runtime.generation, pods=present(held), now=time.time())
        metrics.show(held.key, facts)
        metrics.show_stuck(held.key, False)
        await report(self.kube, self.recorder, held, facts, runtime.reported)

    async def run(
        self, held: Holdings, runtime: Runtime, spec: QueueSpec, reading: Reading, endpoint: Endpoint | None
    ) -> Sleeper | None:
        """One round; the answer is where to listen if the queue sleeps now.

        `reading` is what the server said, or why it said nothing; no `endpoint` where the spec leads to none.
        """
        looked = time.monotonic()
        next_endpoint = await self.relays.next_endpoint(held.key[0], spec)
        if comes_back(spec, endpoint, next_endpoint):
            await self.reject(held, runtime, _COMES_BACK)
            return None
        facts = Facts(spec=spec, generation=runtime.generation, pods=present(held), now=time.time())
        return await _Round(self, held, runtime, spec, endpoint, next_endpoint, facts, looked).run(reading)


@dataclass(frozen=True, slots=True)
class _Round:
    common: Rounds
    held: Holdings
    runtime: Runtime
    spec: QueueSpec
    endpoint: Endpoint | None
    next_endpoint: NextEndpoint
    facts: Facts
    looked: float  # monotonic

    async def run(self, reading: Reading) -> Sleeper | None:
        held, runtime, spec, endpoint, facts = self.held, self.runtime, self.spec, self.endpoint, self.facts
        attribution = Attribution({}, ())
        if isinstance(reading, Snapshot) and endpoint:
            reading = await with_group(endpoint.client, self.common.recorder, held.body, runtime, spec, reading)
        facts.durability = endpoint.durability if endpoint else None
        if isinstance(reading, Snapshot):
            facts.snapshot = reading
            facts.trimmed = self._count(reading)
            holding = {view.name: view.pending for view in reading.consumers}
            attribution = attribute(held.key[1], held.pods, holding, reading.holders_known)
            facts.shared_consumers = runtime.shared_consumers = self._shared(attribution, reading)
        elif reading.reason in {kind.value for kind in _OF_THE_STREAM}:
            facts.stream = reading
        else:
            facts.redis = reading
        observation = self._observe(attribution)
        decision, runtime.memory = decide(spec.scaling, runtime.memory, observation)
        runtime.settling = settling(decision.victims, observation)
        runtime.journal.note(observation, decision)
        facts.decision, facts.patience = decision, patience(runtime.memory)
        metrics.show(held.key, facts)
        if facts.snapshot and endpoint and (facts.pods or runtime.cordon.workers):
            await self._cordon(endpoint, decision)
        failure = await self._carry_out(decision, Basis(observation.replicas, self.looked))
        runtime.recovery.gather(held, spec.handler)
        if facts.snapshot and endpoint:
            await self._look_after_tasks(endpoint, facts.snapshot, attribution)
        facts.stuck = runtime.handing_on.note(time.monotonic())
        metrics.show_stuck(held.key, bool(facts.stuck))
        await report(self.common.kube, self.common.recorder, held, facts, runtime.reported)
        if failure:
            raise failure
        return sleeper(spec, facts, runtime.memory)

    def _count(self, snapshot: Snapshot) -> int:
        """What changed since the last look; the entries that producers trimmed too early of late."""
        runtime = self.runtime
        before, runtime.counted = runtime.counted, snapshot
        lost = lost_undelivered(before, snapshot) if before else 0
        if before:
            metrics.count(self.held.key, progress(before, snapshot), lost)
        return runtime.trimming.note(lost, time.monotonic())

    def _shared(self, attribution: Attribution, snapshot: Snapshot) -> bool:
        """Said until work is held under pods' names again, or the condition would come and go with each task."""
        if attribution.strangers:
            return True
        return self.runtime.shared_consumers and snapshot.pending == 0

    def _observe(self, attribution: Attribution) -> Observation:
        runtime, now = self.runtime, time.monotonic()
        runtime.idle_since = marks.note_idle(runtime.idle_since, attribution.pending, now)
        offset, cordoned = now - time.time(), runtime.cordon.workers
        held, snapshot = self.held, self.facts.snapshot
        ended: Container[str] = ()
        if snapshot and not self.facts.shared_consumers:  # else nobody knows whose consumer is missing
            ended = draining.ended(held.pods.values(), self.spec.handler, snapshot)
        return observe(held, snapshot, attribution, now=now, clock_offset=offset, cordoned=cordoned, ended=ended)

    async def _cordon(self, endpoint: Endpoint, decision: Decision) -> None:
        keys, interval = Keys(self.spec.stream, self.spec.group), self.spec.scaling.polling_interval
        try:
            await self.runtime.cordon.keep(endpoint.client, keys, decision.cordoned, interval, time.monotonic())
        except RedisProblem as problem:
            log.warning("%s: which workers take no more is told later: %s", self.held.key[1], problem)

    async def _carry_out(self, decision: Decision, basis: Basis) -> KubeError | None:
        """The error, for the end of the round: what stuck tasks need is Redis alone.

        None of a conflict: the next round decides on what is there by then.
        """
        held, runtime, facts = self.held, self.runtime, self.facts
        facts.unmade = unmade(held.owned.get(DEPLOYMENTS))
        generation, now = runtime.generation, time.monotonic()
        known = runtime.refusal
        refused = known is not None and known[0] == generation and known[1].holds(now)
        secrets = secrets_of(self.endpoint, self.next_endpoint)
        failure: KubeError | None = None
        try:
            actor = self.common.actor
            await actor.carry_out(held, runtime, self.spec, decision, basis, facts.snapshot, secrets, refused=refused)
        except NameConflict as conflict:
            facts.conflict = Trouble("NameConflict", str(conflict))
        except Refused as error:
            runtime.refusal = generation, error.refusal
        except NotLeader:
            raise
        except KubeError as error:
            failure = error
        else:
            runtime.refusal = known if refused else None
        facts.rejected = runtime.refusal[1].trouble if runtime.refusal else None
        failing = failure or (runtime.unmarked if decision.victims else None)
        runtime.failing_since = (runtime.failing_since or now) if failing else None
        if runtime.failing_since and now - runtime.failing_since >= PATIENCE:
            what = "the queue's objects can't be written" if failure else "no pod can be let go: none can be marked"
            facts.unwritten = Trouble("NotWritten", f"{what} now: {failing}")
        if failure and failure.status == 409:
            if runtime.failing_since == now:
                log.info("%s: decided on an older state, again next round: %s", held.key[1], failure.message)
            return None
        return failure

    async def _look_after_tasks(self, endpoint: Endpoint, snapshot: Snapshot, attribution: Attribution) -> None:
        """What is in hands that won't do it, or on its way: counted, taken back, handed on."""
        held, runtime, spec, skew = self.held, self.runtime, self.spec, endpoint.skew.seconds
        self._watch_the_leaving(snapshot, attribution, skew)
        self.facts.reads_on = runtime.reads_on
        if snapshot.uncounted_returns:
            await live_returns.count(endpoint.client, Keys(spec.stream, spec.group), held.key, held.pods, skew)
        try:
            exists = partial(self.common.kube.exists, PODS, held.key[0])
            self._tell(await runtime.recovery.recover(endpoint.client, spec, held, snapshot, skew, exists))
            if snapshot.next_due == 0:
                await promote(endpoint.client, spec.stream)  # for which a full server has no room
        except RedisProblem as problem:
            log.warning("%s: stuck and delayed tasks stay where they are: %s", held.key[1], problem)
        if snapshot.outboxed:
            self.common.relays.begin(held.key, spec, endpoint, self.next_endpoint, runtime.handing_on)
        else:
            runtime.handing_on.failing = {}

    def _watch_the_leaving(self, snapshot: Snapshot, attribution: Attribution, skew: float) -> None:
        held, runtime = self.held, self.runtime
        leaving = draining.leaving(held.pods.values())
        # At each look, not at the first: that may be older than what the pod took before it was told.
        known = leaving if runtime.busy_leaving is None else runtime.busy_leaving & leaving
        busy = {name for name in leaving - known if attribution.pending.get(name)}
        metrics.BUSY_LEAVING.labels(*held.key).inc(len(busy))
        runtime.busy_leaving = known | busy
        reads = draining.last_reads(snapshot, skew)
        runtime.reads_on = runtime.reads_on or bool(draining.reading_on(held.pods.values(), reads))

    def _tell(self, returned: int) -> None:
        metrics.RECOVERED.labels(*self.held.key).inc(returned)
        if untold := self.runtime.recovery.news(returned):
            message = f"{untold} task(s) of dead or failed workers are back at work, or dead letters"
            self.common.recorder.say(self.held.body, "Normal", "Recovered", message)


def sleeper(spec: QueueSpec, facts: Facts, memory: Memory) -> Sleeper | None:
    """Nothing waits, nothing pends, no pod is wanted: a new entry is what can change that."""
    snapshot, decision = facts.snapshot, facts.decision
    if not snapshot or not decision or not snapshot.last_delivered_id or decision.replicas:
        return None
    if snapshot.undelivered or snapshot.pending or snapshot.due or snapshot.outboxed:
        return None
    alarm = None if snapshot.next_due is None else max(0.0, snapshot.next_due - lead(spec.scaling, memory.cold))
    return Sleeper(spec.stream, snapshot.last_delivered_id, soundly=not facts.pods, alarm=alarm)

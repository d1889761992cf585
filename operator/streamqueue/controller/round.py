"""One round of one queue: observe, decide, act, report."""

from __future__ import annotations

import logging
import time

from redis.asyncio import Redis as Client

from streamqueue.api.keys import Keys
from streamqueue.api.spec import QueueSpec
from streamqueue.controller import draining, live_returns, marks, metrics, recovery
from streamqueue.controller.act import Actor
from streamqueue.controller.assess import Facts, Trouble, unmade
from streamqueue.controller.children import NameConflict, Refused
from streamqueue.controller.consumers import Attribution, attribute, fences
from streamqueue.controller.endpoints import Endpoint, Endpoints
from streamqueue.controller.events import Recorder
from streamqueue.controller.groups import with_group
from streamqueue.controller.kinds import DEPLOYMENTS
from streamqueue.controller.kube import Kube, KubeError, NotLeader
from streamqueue.controller.observe import observe, present
from streamqueue.controller.progress import progress
from streamqueue.controller.refusal import Refusal
from streamqueue.controller.relays import Beyond, Relays, comes_back, secrets_of
from streamqueue.controller.report import report
from streamqueue.controller.runtime import Runtime
from streamqueue.controller.settings import Settings
from streamqueue.controller.store import Holdings, Key, Store
from streamqueue.controller.trimming import lost_undelivered
from streamqueue.controller.wake import Sleeper
from streamqueue.manifests import Fingerprints
from streamqueue.scaling import Decision, Memory, decide, lead, settling
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
    def __init__(self, kube: Kube, recorder: Recorder, store: Store, settings: Settings, endpoints: Endpoints) -> None:
        self._kube = kube
        self._recorder = recorder
        self._actor = Actor(kube, recorder, store, settings)
        self._relays = Relays(endpoints)

    async def close(self) -> None:
        await self._relays.close()

    async def reject(self, held: Holdings, runtime: Runtime, trouble: Trouble) -> None:
        """The spec can't be used: say so, and leave everything as it is."""
        facts = Facts(rejected=trouble, generation=runtime.generation, pods=present(held), now=time.time())
        metrics.show(held.key, facts)
        metrics.show_stuck(held.key, False)
        await report(self._kube, self._recorder, held, facts, runtime.reported)

    async def run(
        self, held: Holdings, runtime: Runtime, spec: QueueSpec, reading: Reading, endpoint: Endpoint | None
    ) -> Sleeper | None:
        """One round; the answer is where to listen if the queue sleeps now.

        `reading` is what the server said, or why it said nothing; no `endpoint` where the spec leads to none.
        """
        beyond = await self._relays.beyond(held.key[0], spec)
        if comes_back(spec, endpoint, beyond):
            await self.reject(held, runtime, _COMES_BACK)
            return None
        facts = Facts(spec=spec, generation=runtime.generation, pods=present(held), now=time.time())
        if isinstance(reading, Snapshot) and endpoint:
            reading = await with_group(endpoint.client, self._recorder, held.body, runtime, spec, reading)
        attribution = Attribution({}, ())
        facts.durability = endpoint.durability if endpoint else None
        if isinstance(reading, Snapshot):
            facts.snapshot = reading
            facts.trimmed = _count(held.key, runtime, reading)
            holding = {view.name: view.pending for view in reading.consumers}
            attribution = attribute(held.key[1], held.pods, holding, reading.holders_known)
            facts.shared_consumers = runtime.shared_consumers = _shared(runtime, attribution, reading)
        elif reading.reason in {kind.value for kind in _OF_THE_STREAM}:
            facts.stream = reading
        else:
            facts.redis = reading
        now = time.monotonic()
        runtime.idle_since = marks.note_idle(runtime.idle_since, attribution.pending, now)
        offset = now - time.time()
        observation = observe(
            held, facts.snapshot, attribution, now=now, clock_offset=offset, cordoned=runtime.cordon.workers
        )
        decision, runtime.memory = decide(spec.scaling, runtime.memory, observation)
        runtime.settling = settling(decision.victims, observation)
        runtime.journal.note(observation, decision)
        facts.decision = decision
        metrics.show(held.key, facts)
        if facts.snapshot and endpoint and (facts.pods or runtime.cordon.workers):
            await _cordon(endpoint.client, held, runtime, spec, decision)
        failure = await self._carry_out(held, runtime, spec, facts, secrets_of(endpoint, beyond))
        recovery.gather(runtime, held, spec.handler)
        if facts.snapshot and endpoint:
            self._watch_the_leaving(held, runtime, facts.snapshot, attribution, endpoint.skew.seconds)
            facts.reads_on = runtime.reads_on
            if facts.snapshot.uncounted_returns:
                keys = Keys(spec.stream, spec.group)
                await live_returns.count(endpoint.client, keys, held.key, held.pods, endpoint.skew.seconds)
            await self._recover(endpoint, spec, runtime, held, facts.snapshot)
            self._hand_on(endpoint, beyond, spec, runtime, held, facts.snapshot)
        facts.stuck = runtime.handing_on.note(time.monotonic())
        metrics.show_stuck(held.key, bool(facts.stuck))
        await report(self._kube, self._recorder, held, facts, runtime.reported)
        if failure:
            raise failure
        return sleeper(spec, facts, runtime.memory)

    async def _carry_out(
        self, held: Holdings, runtime: Runtime, spec: QueueSpec, facts: Facts, secrets: Fingerprints | None
    ) -> KubeError | None:
        """The error, for the end of the round: what stuck tasks need is Redis alone.

        None of a conflict: the next round decides on what is there by then.
        """
        assert facts.decision is not None
        facts.unmade = unmade(held.owned.get(DEPLOYMENTS))
        generation, now = held.body["metadata"]["generation"], time.monotonic()
        refused = runtime.refusal is not None and runtime.refusal.holds(generation, now)
        failure: KubeError | None = None
        try:
            await self._actor.carry_out(held, runtime, spec, facts.decision, facts.snapshot, secrets, refused=refused)
        except NameConflict as conflict:
            facts.conflict = Trouble("NameConflict", str(conflict))
        except Refused as refusal:
            runtime.refusal = Refusal(generation, Trouble(refusal.reason, str(refusal)), refusal.at)
        except NotLeader:
            raise
        except KubeError as error:
            failure = error
        else:
            runtime.refusal = runtime.refusal if refused else None
        facts.rejected = runtime.refusal.trouble if runtime.refusal else None
        runtime.failing_since = (runtime.failing_since or now) if failure else None
        if runtime.failing_since and now - runtime.failing_since >= PATIENCE:
            facts.unwritten = Trouble("NotWritten", f"the queue's objects can't be written now: {failure}")
        if failure and failure.status == 409:
            if runtime.failing_since == now:
                log.info("%s: decided on an older state, again next round: %s", held.key[1], failure.message)
            return None
        return failure

    def _watch_the_leaving(
        self, held: Holdings, runtime: Runtime, snapshot: Snapshot, attribution: Attribution, skew: float
    ) -> None:
        leaving = draining.leaving(held.pods.values())
        for name in leaving - runtime.leaving:
            if attribution.pending.get(name) and not runtime.fresh:  # else a leader before us has counted it
                metrics.BUSY_LEAVING.labels(*held.key).inc()
        runtime.leaving = leaving
        # A worker of the SDK looks as if it read whenever it renews its leases; it stops taking by itself.
        last_reads = {
            view.name: snapshot.time - skew - view.idle
            for view in snapshot.consumers
            if view.idle is not None and not fences(view.name)
        }
        runtime.reads_on = runtime.reads_on or bool(draining.reading_on(held.pods.values(), last_reads))

    async def _recover(
        self, endpoint: Endpoint, spec: QueueSpec, runtime: Runtime, held: Holdings, snapshot: Snapshot
    ) -> None:
        try:
            returned = await recovery.recover(endpoint.client, spec, runtime, held, snapshot, endpoint.skew.seconds)
            self._tell(held, runtime, returned)
            if snapshot.next_due == 0:
                await promote(endpoint.client, spec.stream)  # for which a full server has no room
        except RedisProblem as problem:
            log.warning("%s: stuck and delayed tasks stay where they are: %s", held.key[1], problem)

    def _tell(self, held: Holdings, runtime: Runtime, returned: int) -> None:
        metrics.RECOVERED.labels(*held.key).inc(returned)
        runtime.untold += returned
        now = time.monotonic()
        if runtime.untold and now - runtime.told >= recovery.NEWS_INTERVAL:
            message = f"{runtime.untold} task(s) of dead or failed workers are back at work, or dead letters"
            self._recorder.say(held.body, "Normal", "Recovered", message)
            runtime.untold, runtime.told = 0, now

    def _hand_on(
        self, endpoint: Endpoint, beyond: Beyond, spec: QueueSpec, runtime: Runtime, held: Holdings, snapshot: Snapshot
    ) -> None:
        if snapshot.outboxed:
            self._relays.begin(held.key, spec, endpoint, beyond, runtime.handing_on)
        else:
            runtime.handing_on.failing = {}


def _count(key: Key, runtime: Runtime, snapshot: Snapshot) -> int:
    """What changed since the last look; the entries that producers trimmed too early of late."""
    before, runtime.counted = runtime.counted, snapshot
    lost = lost_undelivered(before, snapshot) if before else 0
    if before:
        metrics.count(key, progress(before, snapshot), lost)
    return runtime.trimming.note(lost, time.monotonic())


async def _cordon(client: Client, held: Holdings, runtime: Runtime, spec: QueueSpec, decision: Decision) -> None:
    keys, interval = Keys(spec.stream, spec.group), spec.scaling.polling_interval
    try:
        await runtime.cordon.keep(client, keys, decision.cordoned, interval, time.monotonic())
    except RedisProblem as problem:
        log.warning("%s: which workers take no more is told later: %s", held.key[1], problem)


def _shared(runtime: Runtime, attribution: Attribution, snapshot: Snapshot) -> bool:
    """Said until work is held under pods' names again, or the condition would come and go with each task."""
    if attribution.strangers:
        return True
    return runtime.shared_consumers and snapshot.pending == 0


def sleeper(spec: QueueSpec, facts: Facts, memory: Memory) -> Sleeper | None:
    """Nothing waits, nothing pends, no pod is wanted: a new entry is what can change that."""
    snapshot, decision = facts.snapshot, facts.decision
    if not snapshot or not decision or not snapshot.last_delivered_id or decision.replicas:
        return None
    if snapshot.undelivered or snapshot.pending or snapshot.due or snapshot.outboxed:
        return None
    alarm = None if snapshot.next_due is None else max(0.0, snapshot.next_due - lead(spec.scaling, memory.cold))
    return Sleeper(spec.stream, snapshot.last_delivered_id, soundly=not facts.pods, alarm=alarm)

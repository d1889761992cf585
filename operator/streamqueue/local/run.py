"""One queue on a laptop: look, decide, act, tell; until it is stopped."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

from redis.asyncio import Redis

from streamqueue import maintenance
from streamqueue.api.keys import Keys
from streamqueue.api.spec import Protocol, QueueSpec
from streamqueue.api.spec import Redis as Endpoint
from streamqueue.local.fleet import Ended, Fleet, named_after
from streamqueue.loop.cordon import Cordon
from streamqueue.loop.observe import count_cap, observation
from streamqueue.manifests.environment import runner_environment, worker_environment
from streamqueue.scaling import Decision, Memory, decide, rest, settling
from streamqueue.scaling.decide import LEARNING
from streamqueue.streams import RedisProblem, Snapshot, SnapshotRequest, ensure_group, take_snapshot
from streamqueue.streams.enqueue import promote

ABANDONED_INTERVAL = 5.0  # seconds between looks for entries that a living loop gave up
SWEEP_INTERVAL = 60.0  # seconds between the passes that the CronJob makes in a cluster


@dataclass(frozen=True, slots=True)
class Look:
    """One round, for the view. `snapshot` is None where Redis couldn't be read: `trouble` says why."""

    snapshot: Snapshot | None
    trouble: str
    decision: Decision
    ready: int
    workers: int
    returned: int  # tasks that were handed on in this round
    rest: float  # seconds until the next


def environment(spec: QueueSpec, url: str) -> dict[str, str]:
    """The variables that a worker pod has, but for the consumer's name."""
    here = replace(spec, redis=Endpoint(url=url))
    listed = runner_environment(here) if here.handler.protocol is Protocol.HTTP else worker_environment(here)
    variables = {each["name"]: each["value"].replace("$$", "$") for each in listed if "value" in each}
    return variables | {"PYTHONUNBUFFERED": "1"}


async def run(spec: QueueSpec, client: Redis, fleet: Fleet, tell: Callable[[Look], None], stop: asyncio.Event) -> None:
    """Until `stop`; then the processes are told to go, and what they leave is handed back. Raises RedisProblem."""
    await ensure_group(client, spec.stream, spec.group, spec.start_from)
    rounds = Rounds(spec, client, fleet)
    try:
        while not stop.is_set():
            look = await rounds.one()
            tell(look)
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), look.rest)
    finally:
        await fleet.stop()
        with suppress(RedisProblem):
            await rounds.hand_on(fleet.ended)


class Rounds:
    """What is remembered from one round to the next."""

    def __init__(self, spec: QueueSpec, client: Redis, fleet: Fleet) -> None:
        self._spec, self._client, self._fleet = spec, client, fleet
        self._keys = Keys(spec.stream, spec.group)
        self._cordon = Cordon()
        now = time.monotonic()
        # Nothing ran before us: there is nothing to wait for before workers may go.
        self._memory = Memory(since=now - LEARNING, last=now)
        self._abandoned_at = self._swept_at = now

    async def one(self) -> Look:
        """Hand on what ended, look, decide, and act."""
        interval, returned, trouble = self._spec.scaling.polling_interval, 0, ""
        snapshot: Snapshot | None = None
        try:
            returned = await self.hand_on(self._fleet.ended)
            snapshot = await self._look()
            self._fleet.note_readers([view.name for view in snapshot.consumers])
        except RedisProblem as problem:
            trouble = problem.message
        pods = self._fleet.views(self._held(snapshot) if snapshot else {}, self._cordon.workers)
        seen = observation(snapshot, pods, now=time.monotonic(), replicas=self._fleet.replicas)
        decision, self._memory = decide(self._spec.scaling, self._memory, seen)
        await self._fleet.resize(decision.replicas, decision.victims)
        if snapshot:
            with suppress(RedisProblem):
                await self._cordon.keep(self._client, self._keys, decision.cordoned, interval, time.monotonic())
            with suppress(RedisProblem):
                returned += await self._maintain(snapshot)
        ready = sum(pod.state == "ready" for pod in pods)
        pause = rest(interval, settling(decision.victims, seen))
        return Look(snapshot, trouble, decision, ready, len(self._fleet.workers), returned, pause)

    async def hand_on(self, ended: list[Ended]) -> int:
        """Return at once what processes that ended still hold. Raises RedisProblem; what is left is tried again."""
        returned = 0
        while ended:
            for view in (await self._look()).consumers:
                if view.pending and named_after(view.name, (ended[0].name,)) == ended[0].name:
                    cause = f"process ended, exit code {ended[0].code}"
                    report = await maintenance.release(self._client, self._spec, view.name, math.inf, cause)
                    returned += report.settled
            del ended[0]
        return returned

    async def _maintain(self, snapshot: Snapshot) -> int:
        now, returned = time.monotonic(), 0
        if snapshot.next_due == 0:
            await promote(self._client, self._spec.stream)
        if self._spec.handler.concurrency == 1 and now - self._abandoned_at > ABANDONED_INTERVAL:
            self._abandoned_at = now
            for view in snapshot.consumers:
                if view.pending and named_after(view.name, self._fleet.workers) in self._fleet.workers:
                    returned += (await maintenance.abandoned(self._client, self._spec, view.name)).settled
        if now - self._swept_at > min(SWEEP_INTERVAL, self._spec.delivery.visibility_timeout):
            self._swept_at = now
            returned += (await maintenance.sweep(self._client, self._spec, budget=1.0)).settled
        return returned

    def _held(self, snapshot: Snapshot) -> Mapping[str, int | None]:
        """Entries in each process's hands; None where the consumers' names don't tell."""
        held: dict[str, int] = {}
        for view in snapshot.consumers:
            name = named_after(view.name, self._fleet.workers)
            held[name] = held.get(name, 0) + view.pending
        strangers = any(count and name not in self._fleet.workers for name, count in held.items())
        return {name: held.get(name, None if strangers else 0) for name in self._fleet.workers}

    async def _look(self) -> Snapshot:
        request = SnapshotRequest(self._spec.stream, self._spec.group, count_cap(self._spec))
        return await take_snapshot(self._client, request)

"""The poller: reads all due queues of an endpoint in one pipeline, and starts a round for each.

Endpoints don't wait for one another, and neither do queues: a slow server, or a slow API call, delays its own only.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any, NamedTuple

from streamqueue.api.errors import SpecError
from streamqueue.api.spec import QueueSpec
from streamqueue.controller import duplicates
from streamqueue.controller.cluster.kube import TERMINATING, KubeError
from streamqueue.controller.cluster.store import Holdings, Key, Store
from streamqueue.controller.endpoints.endpoints import Endpoint, Endpoints
from streamqueue.controller.endpoints.wake import Sleeper, Waker, nap
from streamqueue.controller.observe import request
from streamqueue.controller.round import Reading, Rounds
from streamqueue.controller.runtime import Runtime
from streamqueue.controller.status import metrics
from streamqueue.controller.trouble import Trouble, trouble_of
from streamqueue.scaling import rest
from streamqueue.streams.errors import ProblemKind, RedisProblem
from streamqueue.streams.snapshot import Snapshot, take_snapshots

log = logging.getLogger(__name__)

TICK = 0.1  # seconds between looks for queues that are due
ERROR_BACKOFF = 5.0  # seconds until a queue whose round failed is tried again
ENDING_BACKOFF = 60.0  # the same in a namespace that is being deleted, which no queue outlives
HOUSEKEEPING = 60.0  # seconds


class Due(NamedTuple):
    key: Key
    held: Holdings
    runtime: Runtime


ByEndpoint = dict[str, tuple[Endpoint, list[tuple[Due, QueueSpec]]]]  # by the endpoint's id


class Loop:
    def __init__(self, store: Store, endpoints: Endpoints, rounds: Rounds) -> None:
        self._store = store
        self._endpoints = endpoints
        self._rounds = rounds
        self._runtimes: dict[Key, Runtime] = {}
        self._claims = duplicates.Claims()
        self._tasks: set[asyncio.Task[None]] = set()
        self._waker = Waker(self._wake)
        self.last_tick: float | None = None  # monotonic

    def runtime(self, key: Key) -> Runtime | None:
        """What is remembered of a queue."""
        return self._runtimes.get(key)

    async def run(self) -> None:
        """Poll for ever."""
        cleaned = time.monotonic()
        try:
            while True:
                self.last_tick = time.monotonic()
                self._dispatch()
                if self.last_tick - cleaned > HOUSEKEEPING:
                    cleaned = self.last_tick
                    self._spawn(self._endpoints.close_unused())
                await asyncio.sleep(TICK)
        finally:
            await self._waker.close()
            await self._rounds.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _dispatch(self) -> None:
        """Begin what is due, and forget what is gone."""
        now = time.monotonic()
        due = [found for key, held in self._store.queues() if (found := self._begin(key, held, now))]
        for key in [key for key, known in self._runtimes.items() if not (known.busy or self._store.has(key))]:
            del self._runtimes[key]
            self._waker.stop_listening(key)
            self._claims.drop(key)
            metrics.forget(key)
        if due:
            due.sort(key=lambda queue: queue.held.seniority)  # of two that claim the same, the older has it
            self._spawn(self._prepare(due))

    def _begin(self, key: Key, held: Holdings, now: float) -> Due | None:
        """Mark the queue as busy where its round is due; None where it isn't, or one is under way."""
        metadata = held.body["metadata"]
        runtime = self._runtimes.get(key)
        if runtime is None or runtime.uid != metadata["uid"]:
            runtime = self._runtimes[key] = Runtime(metadata["uid"])
        if runtime.busy or (runtime.due > now and runtime.generation == metadata["generation"]):
            return None
        runtime.busy, runtime.woken, runtime.settling = True, False, None
        runtime.generation = metadata["generation"]
        return Due(key, held, runtime)

    async def _prepare(self, due: list[Due]) -> None:
        """Sort the due queues by endpoint; those without one get their round at once.

        A Secret may take its time: what is sorted by then is polled meanwhile.
        """
        by_endpoint: ByEndpoint = {}
        meanwhile = asyncio.create_task(self._poll_meanwhile(by_endpoint))
        try:
            for queue in due:
                try:
                    found = await self._endpoint_of(queue)
                except Exception:
                    if queue.held.queue is not None:  # else it was deleted meanwhile
                        log.exception("%s/%s: not prepared", *queue.key)
                    queue.runtime.rest(ERROR_BACKOFF)
                    continue
                if found:
                    endpoint, spec = found
                    by_endpoint.setdefault(endpoint.id, (endpoint, []))[1].append((queue, spec))
        finally:
            meanwhile.cancel()
        self._poll_each(by_endpoint)

    async def _poll_meanwhile(self, by_endpoint: ByEndpoint) -> None:
        while True:
            await asyncio.sleep(TICK)
            self._poll_each(by_endpoint)

    def _poll_each(self, by_endpoint: ByEndpoint) -> None:
        """Have what was sorted so far polled, and empty it."""
        for endpoint, queues in by_endpoint.values():
            self._spawn(self._poll(endpoint, queues))
        by_endpoint.clear()

    async def _endpoint_of(self, queue: Due) -> tuple[Endpoint, QueueSpec] | None:
        """Where to read this queue; None if that can't be, and its round was started with the reason."""
        try:
            spec = queue.runtime.spec(queue.held.body)
        except SpecError as error:
            self._claims.drop(queue.key)
            self._reject(queue, Trouble("Invalid", str(error)))
            return None
        endpoint = await self._endpoints.find(queue.key[0], spec.redis)
        if isinstance(endpoint, Trouble):
            self._round(queue, spec, endpoint, None)
            return None
        claim = duplicates.Claim(endpoint.server, spec.stream, spec.group)
        if other := self._claims.claim(queue.key, claim):
            self._reject(queue, Trouble("Duplicate", self._claims.clash(other, claim)))
            return None
        queue.runtime.use_server(endpoint.server)
        return endpoint, spec

    async def _poll(self, endpoint: Endpoint, queues: list[tuple[Due, QueueSpec]]) -> None:
        requests = [request(queue.held, spec) for queue, spec in queues]
        sent = time.time()
        try:
            with metrics.SNAPSHOT.time():
                answers = await take_snapshots(endpoint.client, requests)
        except Exception:
            log.exception("%d queues not read", len(queues))
            for queue, _ in queues:
                queue.runtime.rest(ERROR_BACKOFF)
            return
        times = [answer.time for answer in answers if isinstance(answer, Snapshot)]
        if times:
            endpoint.skew.note(sent, time.time(), sum(times) / len(times))
            self._look_after(endpoint)
        for (queue, spec), answer in zip(queues, answers, strict=True):
            if isinstance(answer, RedisProblem) and answer.kind in (ProblemKind.AUTH, ProblemKind.TLS):
                self._endpoints.forget(queue.key[0], spec.redis)
            reading = trouble_of(answer) if isinstance(answer, RedisProblem) else answer
            self._round(queue, spec, reading, endpoint)

    def _look_after(self, endpoint: Endpoint) -> None:
        """Ask beside the rounds, now and then, whether this server may lose work."""
        if time.monotonic() - endpoint.durability_read > HOUSEKEEPING:
            endpoint.durability_read = time.monotonic()
            self._spawn(endpoint.look_after())

    def _reject(self, queue: Due, trouble: Trouble) -> None:
        work = partial(self._rounds.reject, queue.held, queue.runtime, trouble)
        self._spawn(self._guard(queue, ERROR_BACKOFF, work))

    def _round(self, queue: Due, spec: QueueSpec, reading: Reading, endpoint: Endpoint | None) -> None:
        work = partial(self._rounds.run, queue.held, queue.runtime, spec, reading, endpoint)
        self._spawn(self._guard(queue, spec.scaling.polling_interval, work, endpoint))

    def _wake(self, keys: Sequence[Key]) -> None:
        """An entry came to these sleeping queues."""
        now = time.monotonic()
        due = []
        for key in keys:
            held, runtime = self._store.get(key), self._runtimes.get(key)
            if runtime and held and self._store.has(key):
                runtime.due, runtime.woken = 0.0, True
                if begun := self._begin(key, held, now):
                    due.append(begun)
        if due:
            self._spawn(self._prepare(due))

    async def _guard(
        self,
        queue: Due,
        interval: float,
        work: Callable[[], Coroutine[Any, Any, Sleeper | None]],
        endpoint: Endpoint | None = None,
    ) -> None:
        """One queue's failure is its own; it is tried again, later."""
        sleeper = None
        try:
            sleeper = await work()
            interval = rest(interval, queue.runtime.settling)
        except KubeError as error:
            ending = error.reason == TERMINATING
            log.log(logging.DEBUG if ending else logging.WARNING, "%s/%s: %s", *queue.key, error)
            interval = ENDING_BACKOFF if ending else ERROR_BACKOFF
        except Exception:
            if queue.held.queue is None:
                log.debug("%s/%s: deleted during its round", *queue.key)
            else:
                log.exception("%s/%s: round failed", *queue.key)
            interval = ERROR_BACKOFF
        finally:
            # A sleeper is listened to all through its rounds: what comes during one is seen after it.
            if self._runtimes.get(queue.key) is not queue.runtime:
                pass  # another queue of this name sleeps, or doesn't
            elif sleeper and endpoint and self._waker.listen_for(queue.key, endpoint, sleeper):
                interval = nap(sleeper, interval, queue.runtime.uid, time.monotonic(), self._waker.listened_to)
            else:
                self._waker.stop_listening(queue.key)
            queue.runtime.rest(interval)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

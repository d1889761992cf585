"""A fleet of worker pods on one stream, as discrete events.

One consumer group, first in first out. A pod serves `concurrency` tasks at once. Blocked consumers are served in the
order in which they blocked, as Redis serves them. Tasks of a pod that is killed return after `reclaim` seconds.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from heapq import heappop
from typing import Protocol

from streamqueue.scaling import Observation, PodState
from streamqueue.simulate.clock import Clock
from streamqueue.simulate.cluster import Cluster
from streamqueue.simulate.outcome import TAIL, Outcome
from streamqueue.simulate.pods import Pods
from streamqueue.simulate.worker import Worker


class Law(Protocol):
    """A scaling law in the simulation: looks at the fleet when it wants to, and answers a count."""

    def next_look(self, now: float) -> float:
        """When to look after `now`; the first call is for a time before the start."""

    def decide(self, fleet: Fleet) -> int:
        """Replicas to run from now on."""


class Fleet:
    """The state of the simulated world. Laws read the counters; only `run` moves time."""

    def __init__(
        self,
        arrivals: Sequence[float],
        services: Sequence[float],
        cluster: Cluster,
        law: Law,
        seed: int = 0,
        *,
        tail: float = TAIL,
    ) -> None:
        self._arrivals, self._services, self._cluster, self._law = arrivals, services, cluster, law
        self._tail = tail
        self._clock = Clock()
        self.pods = Pods(cluster, self._clock, seed, self._serves, self._dies)
        self._added = self._head = 0  # entries added; the next one never delivered
        self._returned: deque[int] = deque()  # came back from killed pods
        self.pending = self._done = self._killed = 0
        self._starts: list[float] = [math.nan] * len(arrivals)
        self._free: deque[Worker] = deque()  # one entry per free slot, in the order of blocking
        self._timeline: list[tuple[float, int, int, int]] = []

    @property
    def now(self) -> float:
        return self._clock.now

    @property
    def waiting(self) -> int:
        return self._added - self._head + len(self._returned)

    @property
    def replicas(self) -> int:
        return len(self.pods.live)

    @property
    def empty_until(self) -> float:
        """When the next task comes, where until then there is nothing to look at; else now."""
        is_empty = not (self.pods.there or self._clock.events or self._done < self._added)
        return self._arrivals[self._added] if is_empty and self._added < len(self._arrivals) else self.now

    def observe(self) -> Observation:
        """What the operator would see now."""
        now, arrivals, head = self.now, self._arrivals, self._head
        return Observation(
            now=now,
            known=True,
            waiting=self.waiting,
            pending=self.pending,
            oldest_waiting_age=now - arrivals[head] if self._added > head else None,
            entries_added=self._added if self._cluster.counters else None,
            last_delivered_age=now - arrivals[head - 1] if head else None,
            pods=tuple([worker.seen or worker.look() for worker in self.pods.there.values()]),
            replicas=self.replicas,
        )

    def run(self, progress: Callable[[float], None] | None = None) -> Outcome:
        """Play until every task is done, or `tail` seconds after the last arrival."""
        for _ in self.steps():
            if progress is not None:
                progress(self._done / len(self._arrivals))
        waits = [
            (start - arrival if start == start else math.inf)
            for start, arrival in zip(self._starts, self._arrivals, strict=True)
        ]
        return Outcome(waits, self.pods.seconds, self.pods.started, self._killed, self.pods.peak, self._timeline)

    def steps(self) -> Iterator[None]:
        """Move on from one look of the law to the next."""
        total = len(self._arrivals)
        end = self._arrivals[-1] + self._tail
        look = self._law.next_look(-math.inf)
        while self._done < total and self.now <= end:
            self._play_until(look)
            if self._done == total:
                return
            self._clock.now = look
            self.pods.resize(self._law.decide(self))
            self._timeline.append((look, self.replicas, self.pods.ready, self.waiting))
            look = self._law.next_look(look)
            yield

    def _play_until(self, limit: float) -> None:
        """Handle all arrivals and events up to `limit`. The hot loop: about a microsecond a step."""
        arrivals, free, total = self._arrivals, self._free, len(self._arrivals)
        clock, events = self._clock, self._clock.events
        next_arrival = arrivals[self._added] if self._added < total else math.inf
        while True:
            next_event = events[0][0] if events else math.inf
            if next_arrival <= next_event:
                if next_arrival > limit:
                    return
                self._added = added = self._added + 1
                if free:
                    clock.now = next_arrival
                    self._hand_out()
                next_arrival = arrivals[added] if added < total else math.inf
                continue
            if next_event > limit:
                return
            clock.now, _, happen, args = heappop(events)
            happen(*args)
            if self._done == total:
                return

    def _hand_out(self) -> None:
        free = self._free
        while free and (self._head < self._added or self._returned):
            worker = free.popleft()
            if worker.state is PodState.READY:
                self._take(worker)

    def _take(self, worker: Worker) -> None:
        """The next task goes to this worker; there is one."""
        if self._returned:
            task = self._returned.popleft()
        else:
            task = self._head
            self._head += 1
        self.pending += 1
        self._starts[task] = self._clock.now
        worker.running.add(task)
        worker.seen = None
        self._clock.after(self._services[task], self._finish, worker, task)

    def _finish(self, worker: Worker, task: int) -> None:
        try:
            worker.running.remove(task)
        except KeyError:
            return  # it was killed with its pod
        worker.seen = None
        self.pending -= 1
        self._done += 1
        if worker.state is not PodState.READY:
            if not worker.running:
                self.pods.vanish(worker)
        elif not worker.takes:
            pass
        elif self._head == self._added and not self._returned:
            self._free.append(worker)
        elif self._free:
            self._free.append(worker)
            self._hand_out()
        else:
            self._take(worker)

    def _serves(self, worker: Worker) -> None:
        if worker.takes:
            self._free.extend([worker] * (self._cluster.concurrency - len(worker.running)))
            self._hand_out()
        else:
            others = [each for each in self._free if each is not worker]
            self._free.clear()
            self._free.extend(others)

    def _dies(self, worker: Worker) -> None:
        for task in worker.running:
            self._killed += 1
            self._starts[task] = math.nan
            self._clock.after(self._cluster.reclaim, self._return, task)
        worker.running.clear()

    def _return(self, task: int) -> None:
        self.pending -= 1
        self._returned.append(task)
        self._hand_out()

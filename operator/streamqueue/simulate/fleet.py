"""A fleet of worker pods on one stream, as discrete events.

One consumer group, first in first out. A pod serves `concurrency` tasks at once, costs from creation until it
is gone, and is ready after its cold start. Blocked consumers are served in the order in which they
blocked, as Redis serves them. A pod that is removed takes no more tasks, finishes what it runs for at most
`grace` seconds, and is then killed: its tasks return after `reclaim` seconds.
"""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from heapq import heappop, heappush
from typing import Protocol

from streamqueue.scaling import Observation, PodState
from streamqueue.simulate.cluster import Cluster, Room
from streamqueue.simulate.outcome import TAIL, Outcome
from streamqueue.simulate.worker import Worker, removal_order

HEED = 1.0  # seconds until a worker takes no more, or takes again: it looks once a second


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
        self.arrivals, self.services, self.cluster, self.law = arrivals, services, cluster, law
        self.tail = tail
        self.dice = random.Random(seed)  # noqa: S311 - dice, no secrets
        self.now = 0.0
        self.added = self.head = 0  # entries added; the next one never delivered
        self.returned: deque[int] = deque()  # came back from killed pods
        self.pending = self.done = self.killed = self.started = self.peak = 0
        self.starts: list[float] = [math.nan] * len(arrivals)
        self.ready = 0  # of the pods that the Deployment asks for
        self._marked = False  # whether any live pod may be
        self._cordoned = False  # the same
        self.pods: dict[str, Worker] = {}  # all that exist, draining ones included
        self.live: dict[str, Worker] = {}  # those that the Deployment still asks for
        self.free: deque[Worker] = deque()  # one entry per free slot, in the order of blocking
        self.room = Room(cluster.nodes) if cluster.nodes else None
        self.pod_seconds = 0.0
        self.timeline: list[tuple[float, int, int, int]] = []
        # What happens to which worker and task, and when; the serial number keeps the order of equal times.
        self._events: list[tuple[float, int, Callable[[Worker | None, int], None], Worker | None, int]] = []
        self._serial = 0

    @property
    def waiting(self) -> int:
        return self.added - self.head + len(self.returned)

    @property
    def replicas(self) -> int:
        return len(self.live)

    @property
    def empty_until(self) -> float:
        """When the next task comes, where until then there is nothing to look at; else now."""
        if self.pods or self._events or self.done < self.added or self.added == len(self.arrivals):
            return self.now
        return self.arrivals[self.added]

    def observe(self) -> Observation:
        """What the operator would see now."""
        now = self.now
        return Observation(
            now=now,
            known=True,
            waiting=self.waiting,
            pending=self.pending,
            oldest_waiting_age=now - self.arrivals[self.head] if self.added > self.head else None,
            entries_added=self.added if self.cluster.counters else None,
            last_delivered_age=now - self.arrivals[self.head - 1] if self.head else None,
            pods=tuple([worker.seen or worker.look() for worker in self.pods.values()]),
            replicas=len(self.live),
        )

    def mark(self, names: Sequence[str]) -> None:
        """Give these pods the deletion cost of victims, and take it from all others."""
        if not names and not self._marked:
            return
        self._marked = bool(names)
        chosen = set(names)
        for worker in self.live.values():
            wanted = worker.name in chosen
            if (worker.marked_at is not None) != wanted:
                worker.marked_at = self.now if wanted else None
                worker.change()

    def cordon(self, names: Sequence[str]) -> None:
        """These pods take no more tasks, all others do."""
        if not names and not self._cordoned:
            return
        self._cordoned = bool(names)
        chosen = set(names)
        for worker in self.live.values():
            wanted = worker.name in chosen
            if worker.cordoned != wanted:
                worker.cordoned = wanted
                worker.change()
                self._push(HEED, self._heed, worker)

    def run(self, progress: Callable[[float], None] | None = None) -> Outcome:
        """Play until every task is done, or `tail` seconds after the last arrival."""
        for _ in self.steps():
            if progress is not None:
                progress(self.done / len(self.arrivals))
        for worker in self.pods.values():
            self.pod_seconds += self.now - worker.created
        waits = [
            (start - arrival if start == start else math.inf)
            for start, arrival in zip(self.starts, self.arrivals, strict=True)
        ]
        return Outcome(waits, self.pod_seconds, self.started, self.killed, self.peak, self.timeline)

    def steps(self) -> Iterator[None]:
        """Move on from one look of the law to the next."""
        total = len(self.arrivals)
        end = self.arrivals[-1] + self.tail
        look = self.law.next_look(-math.inf)
        while self.done < total and self.now <= end:
            self._play_until(look)
            if self.done == total:
                return
            self.now = look
            self._resize(self.law.decide(self))
            if len(self.pods) > self.peak:
                self.peak = len(self.pods)
            self.timeline.append((look, len(self.live), self.ready, self.waiting))
            look = self.law.next_look(look)
            yield

    def _play_until(self, limit: float) -> None:
        """Handle all arrivals and events up to `limit`. The hot loop: about a microsecond a step."""
        arrivals, events, free, total = self.arrivals, self._events, self.free, len(self.arrivals)
        next_arrival = arrivals[self.added] if self.added < total else math.inf
        while True:
            next_event = events[0][0] if events else math.inf
            if next_arrival <= next_event:
                if next_arrival > limit:
                    return
                self.added = added = self.added + 1
                if free:
                    self.now = next_arrival
                    self._hand_out()
                next_arrival = arrivals[added] if added < total else math.inf
                continue
            if next_event > limit:
                return
            self.now, _, happen, worker, task = heappop(events)
            happen(worker, task)
            if self.done == total:
                return

    def _push(
        self, delay: float, happen: Callable[[Worker | None, int], None], worker: Worker | None = None, task: int = 0
    ) -> None:
        self._serial += 1
        heappush(self._events, (self.now + delay, self._serial, happen, worker, task))

    def _hand_out(self) -> None:
        free = self.free
        while free and (self.head < self.added or self.returned):
            worker = free.popleft()
            if worker.state is PodState.READY:
                self._take(worker)

    def _take(self, worker: Worker) -> None:
        """The next task goes to this worker; there is one."""
        if self.returned:
            task = self.returned.popleft()
        else:
            task = self.head
            self.head += 1
        self.pending += 1
        now = self.now
        self.starts[task] = now
        worker.running.add(task)
        worker.seen = None
        self._serial = serial = self._serial + 1
        heappush(self._events, (now + self.services[task], serial, self._finish, worker, task))

    def _finish(self, worker: Worker | None, task: int) -> None:
        assert worker is not None
        try:
            worker.running.remove(task)
        except KeyError:
            return  # it was killed with its pod
        worker.seen = None
        self.pending -= 1
        self.done += 1
        if worker.state is not PodState.READY:
            if not worker.running:
                self._vanish(worker)
        elif not worker.takes:
            pass
        elif self.head == self.added and not self.returned:
            self.free.append(worker)
        elif self.free:
            self.free.append(worker)
            self._hand_out()
        else:
            self._take(worker)

    def _heed(self, worker: Worker | None, _: int) -> None:
        assert worker is not None
        if worker.takes != worker.cordoned:
            return
        worker.takes = not worker.cordoned
        if worker.state is not PodState.READY:
            return
        if worker.takes:
            self.free.extend([worker] * (self.cluster.concurrency - len(worker.running)))
            self._hand_out()
        else:
            others = [each for each in self.free if each is not worker]
            self.free.clear()
            self.free.extend(others)

    def _become_ready(self, worker: Worker | None, _: int) -> None:
        assert worker is not None
        if worker.state is not PodState.STARTING:
            return
        worker.state = PodState.READY
        worker.ready_at = self.now
        worker.change()
        self.ready += 1
        self.free.extend([worker] * self.cluster.concurrency)
        self._hand_out()

    def _kill(self, worker: Worker | None, _: int) -> None:
        assert worker is not None
        if worker.name not in self.pods:
            return
        for task in worker.running:
            self.killed += 1
            self.starts[task] = math.nan
            self._push(self.cluster.reclaim, self._return, task=task)
        worker.running.clear()
        self._vanish(worker)

    def _return(self, _: Worker | None, task: int) -> None:
        self.pending -= 1
        self.returned.append(task)
        self._hand_out()

    def _vanish(self, worker: Worker) -> None:
        worker.state = PodState.TERMINATING
        del self.pods[worker.name]
        self.pod_seconds += self.now - worker.created

    def _resize(self, want: int) -> None:
        for _ in range(want - len(self.live)):
            self.started += 1
            worker = Worker(f"w{self.started}", self.now)
            self.pods[worker.name] = self.live[worker.name] = worker
            if self.room is None:
                self._start(worker)
            else:
                worker.state = PodState.UNSCHEDULABLE
                self.room.waiting.append(worker)
        if want < len(self.live):
            for worker in sorted(self.live.values(), key=removal_order)[: len(self.live) - want]:
                self._remove(worker)
        self._schedule()

    def _start(self, worker: Worker) -> None:
        worker.state = PodState.STARTING
        worker.change()
        self._push(self.cluster.cold_start.draw(self.dice), self._become_ready, worker)

    def _remove(self, worker: Worker) -> None:
        del self.live[worker.name]
        was_ready = worker.state is PodState.READY
        worker.state = PodState.TERMINATING
        worker.change()
        self.ready -= was_ready
        if was_ready and worker.running:
            self._push(self.cluster.grace, self._kill, worker)
        else:
            self._vanish(worker)

    def _schedule(self) -> None:
        """Give waiting pods the room there is, and ask for the nodes that are short."""
        if self.room is None:
            return
        for worker in self.room.place(len(self.pods)):
            self._start(worker)
        for _ in range(self.room.order()):
            self._push(self.room.nodes.start, self._node_comes)

    def _node_comes(self, _: Worker | None, __: int) -> None:
        assert self.room is not None
        self.room.arrive()
        self._schedule()

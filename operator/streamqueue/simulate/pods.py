"""The pods of a simulated Deployment: they come when it asks for more, and go when it asks for fewer.

A pod costs from creation until it is gone, and is ready after its cold start, once it has a node. One that is removed
finishes what it runs for at most `grace` seconds, and is then killed.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from streamqueue.scaling import PodState
from streamqueue.simulate.clock import Clock
from streamqueue.simulate.cluster import Cluster, Room
from streamqueue.simulate.worker import Worker, removal_order

HEED = 1.0  # seconds until a worker takes no more, or takes again: it looks once a second


class Pods:
    """`serves(worker)` is called when it is ready, and when it takes no more or takes again; `dies(worker)` when it is
    killed.
    """

    def __init__(
        self,
        cluster: Cluster,
        clock: Clock,
        seed: int,
        serves: Callable[[Worker], None],
        dies: Callable[[Worker], None],
    ) -> None:
        self._cluster, self._clock, self._serves, self._dies = cluster, clock, serves, dies
        self._dice = random.Random(seed)  # noqa: S311 - dice, no secrets
        self._room = Room(cluster.nodes) if cluster.nodes else None
        self._marked: set[str] = set()
        self._cordoned: set[str] = set()
        self.there: dict[str, Worker] = {}  # all that exist, draining ones included
        self.live: dict[str, Worker] = {}  # those that the Deployment still asks for
        self.ready = 0  # of those
        self.started = self.peak = 0
        self._seconds = 0.0  # of those that are gone

    @property
    def seconds(self) -> float:
        """What they have cost until now."""
        return sum((self._clock.now - worker.created for worker in self.there.values()), self._seconds)

    def mark(self, names: Sequence[str]) -> None:
        """Give these pods the deletion cost of victims, and take it from all others."""
        for worker in self._changed(self._marked, names):
            worker.marked_at = self._clock.now if worker.marked_at is None else None
            worker.change()

    def cordon(self, names: Sequence[str]) -> None:
        """These pods take no more tasks, all others do."""
        for worker in self._changed(self._cordoned, names):
            worker.cordoned = not worker.cordoned
            worker.change()
            self._clock.after(HEED, self._heed, worker)

    def _changed(self, before: set[str], names: Sequence[str]) -> list[Worker]:
        """The pods that `names` adds to `before` or leaves out; `before` is `names` from now on."""
        changed = before.symmetric_difference(names)
        if not changed:
            return []
        before ^= changed
        return [worker for worker in self.live.values() if worker.name in changed]

    def resize(self, want: int) -> None:
        for _ in range(want - len(self.live)):
            self.started += 1
            worker = Worker(f"w{self.started}", self._clock.now)
            self.there[worker.name] = self.live[worker.name] = worker
            if self._room is None:
                self._start(worker)
            else:
                worker.state = PodState.UNSCHEDULABLE
                self._room.waiting.append(worker)
        if want < len(self.live):
            for worker in sorted(self.live.values(), key=removal_order)[: len(self.live) - want]:
                self._remove(worker)
        self._schedule()
        self.peak = max(self.peak, len(self.there))

    def vanish(self, worker: Worker) -> None:
        worker.state = PodState.TERMINATING
        del self.there[worker.name]
        self._seconds += self._clock.now - worker.created

    def _start(self, worker: Worker) -> None:
        worker.state = PodState.STARTING
        worker.change()
        self._clock.after(self._cluster.cold_start.draw(self._dice), self._become_ready, worker)

    def _become_ready(self, worker: Worker) -> None:
        if worker.state is PodState.STARTING:
            worker.state = PodState.READY
            worker.ready_at = self._clock.now
            worker.change()
            self.ready += 1
            self._serves(worker)

    def _heed(self, worker: Worker) -> None:
        if worker.takes == worker.cordoned:
            worker.takes = not worker.cordoned
            if worker.state is PodState.READY:
                self._serves(worker)

    def _remove(self, worker: Worker) -> None:
        del self.live[worker.name]
        was_ready = worker.state is PodState.READY
        worker.state = PodState.TERMINATING
        worker.change()
        self.ready -= was_ready
        if was_ready and worker.running:
            self._clock.after(self._cluster.grace, self._kill, worker)
        else:
            self.vanish(worker)

    def _kill(self, worker: Worker) -> None:
        if worker.name in self.there:
            self._dies(worker)
            self.vanish(worker)

    def _schedule(self) -> None:
        """Give waiting pods the room there is, and ask for the nodes that are short."""
        if self._room is None:
            return
        for worker in self._room.place(len(self.there)):
            self._start(worker)
        for _ in range(self._room.order()):
            self._clock.after(self._room.nodes.start, self._node_comes, self._room)

    def _node_comes(self, room: Room) -> None:
        room.arrive()
        self._schedule()

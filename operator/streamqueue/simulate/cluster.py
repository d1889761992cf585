"""How pods and nodes of a simulated cluster behave."""

from __future__ import annotations

import math
import random
from collections import deque
from dataclasses import dataclass

from streamqueue.scaling import PodState
from streamqueue.simulate.worker import Worker


@dataclass(frozen=True, slots=True)
class ColdStart:
    """Seconds from a pod's creation until it is ready: log-normal with this median and sigma."""

    median: float
    sigma: float = 0.0

    def draw(self, dice: random.Random) -> float:
        return self.median * math.exp(self.sigma * dice.gauss(0.0, 1.0)) if self.sigma else self.median


@dataclass(frozen=True, slots=True)
class Nodes:
    """Room for pods: `first` are there from the start; `pods_each` fit on a node; a new one takes `start` seconds.

    At most `limit` nodes. An empty node beyond the first ones goes.
    """

    first: int
    pods_each: int
    limit: int
    start: float = 60.0


@dataclass(frozen=True, slots=True)
class Cluster:
    """How pods behave. `grace` and `reclaim` in seconds."""

    cold_start: ColdStart
    concurrency: int = 1
    grace: float = 150.0
    reclaim: float = 300.0
    nodes: Nodes | None = None
    counters: bool = True  # False: a Redis without entries_added


class Room:
    """The nodes there are, those that were asked for, and the pods that wait for a place on one."""

    def __init__(self, nodes: Nodes) -> None:
        self.nodes = nodes
        self.there = nodes.first
        self.coming = 0
        self.waiting: deque[Worker] = deque()

    def place(self, pods: int) -> list[Worker]:
        """Give waiting pods what room there is; `pods` exist, waiting ones included. Empty nodes go."""
        self.waiting = deque(worker for worker in self.waiting if worker.state is PodState.UNSCHEDULABLE)
        taken, placed = pods - len(self.waiting), []
        while self.waiting and taken < self.there * self.nodes.pods_each:
            placed.append(self.waiting.popleft())
            taken += 1
        spare = self.there - max(self.nodes.first, math.ceil(taken / self.nodes.pods_each))
        if spare > 0 and not self.waiting:
            self.there -= spare
        return placed

    def order(self) -> int:
        """How many nodes to ask for now."""
        short = math.ceil(len(self.waiting) / self.nodes.pods_each) - self.coming
        ordered = max(0, min(short, self.nodes.limit - self.there - self.coming))
        self.coming += ordered
        return ordered

    def arrive(self) -> None:
        self.there += 1
        self.coming -= 1

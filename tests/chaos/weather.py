"""How hard it blows, and what came of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

NEVER = float("inf")


@dataclass(frozen=True, slots=True)
class Loop:
    """Whose workers and producers; `in_flight`: tasks that one of its workers has in hand at most."""

    name: str
    in_flight: int


SDK = Loop("sdk", in_flight=4)
BATCHES = Loop("batch", in_flight=8)
NAIVE = Loop("naive", in_flight=10)


@dataclass(frozen=True, slots=True)
class Weather:
    """The storm's size. Seconds between two faults of a kind, exactly or, with `chance`, on the average; `loss` is the
    chance that a reply never comes. With failovers there is a replica, and what is sent waits for it.
    """

    tasks: int
    producers: int
    workers: int
    rate: float  # tasks a second, of all producers
    kill: float
    restart: float
    network: float
    loss: float
    deadline: float  # seconds for the whole
    term: float = NEVER  # SIGTERM for a worker
    cordon: float = NEVER  # a worker is told to take no more, for a moment
    failover: float = NEVER
    long: float = 0.0  # share of tasks that take longer than the visibility timeout
    chance: bool = False


@dataclass(slots=True)
class Aftermath:
    """What was counted. `runs`: how often each task was done."""

    workers: int
    in_flight: int
    acknowledged: Counter[str] = field(default_factory=Counter)
    runs: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    pending: int = -1
    consumers: int = -1
    dead: int = -1
    seconds: float = 0.0

    @property
    def lost(self) -> int:
        return len(self.acknowledged.keys() - self.runs.keys())

    @property
    def duplicates(self) -> int:
        return self.runs.total() - len(self.runs)

    @property
    def allowed_duplicates(self) -> int:
        """Faults times tasks in flight: one worker's for a kill or a reply, everyone's for Redis or the network."""
        one = self.faults["kill"] + self.faults["lost reply"]
        everyone = self.faults["restart"] + self.faults["network"] + self.faults["failover"]
        return self.in_flight * (one + everyone * self.workers)

    def figures(self) -> dict[str, int | float]:
        return {
            "acknowledged": len(self.acknowledged),
            "lost": self.lost,
            "duplicates": self.duplicates,
            "allowed_duplicates": self.allowed_duplicates,
            "pending": self.pending,
            "consumers": self.consumers,
            "dead": self.dead,
            "seconds": round(self.seconds, 1),
            **self.faults,
        }

    def __str__(self) -> str:
        faults = ", ".join(f"{count} {name}" for name, count in sorted(self.faults.items()))
        return (
            f"{len(self.acknowledged)} acknowledged, {self.lost} lost, {self.duplicates} duplicates "
            f"(at most {self.allowed_duplicates}), {self.pending} pending, {self.consumers} consumers, "
            f"{self.dead} dead, in {self.seconds:.0f} s with faults: {faults}"
        )

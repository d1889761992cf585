"""`python -m benchmarks.decide`: what one decision costs, and what a queue's memory weighs."""

from __future__ import annotations

import gc
import time
import tracemalloc

from benchmarks.report import machine, publish
from benchmarks.scaling.traces import mm_image
from streamqueue.api.spec import Scaling, TargetWait
from streamqueue.scaling import Memory, Observation, decide
from streamqueue.scaling.explain import Journal
from streamqueue.simulate.cluster import Cluster, ColdStart
from streamqueue.simulate.fleet import Fleet
from streamqueue.simulate.laws import StreamQueueLaw
from streamqueue.simulate.text import table

SPEC = Scaling(max_replicas=500, target=TargetWait(60.0))
IDLE_ROUNDS = 100_000
PARTS = 12  # moments at which the memory is weighed
GOALS = {"idle decision": 10e-6, "busy decision, median": 500e-6, "busy decision, p99": 500e-6, "memory": 30_000.0}


class Recorder(StreamQueueLaw):
    """Keeps every observation of a run."""

    def __init__(self, spec: Scaling) -> None:
        super().__init__(spec)
        self.seen: list[Observation] = []

    def decide(self, fleet: Fleet) -> int:
        self.seen.append(fleet.observe())
        return super().decide(fleet)


def busy_day() -> list[Observation]:
    """Half an hour of a production trace: some 90 pods, ten tasks a second."""
    trace = mm_image(hours=0.5)
    law = Recorder(SPEC)
    Fleet(trace.arrivals, trace.services, Cluster(ColdStart(30.0, 0.5)), law).run()
    return law.seen


def idle_seconds() -> float:
    _, memory = decide(SPEC, None, Observation(now=0.0, known=True))
    looks = [Observation(now=float(i), known=True) for i in range(1, 1001)]
    began = time.thread_time()
    for _ in range(IDLE_ROUNDS // 1000):
        for look in looks:
            decide(SPEC, memory, look)
    return (time.thread_time() - began) / IDLE_ROUNDS


def busy_seconds(seen: list[Observation]) -> list[float]:
    memory: Memory | None = None
    took = []
    for observation in seen:
        began = time.thread_time()
        _, memory = decide(SPEC, memory, observation)
        took.append(time.thread_time() - began)
    return sorted(took)


def memory_bytes(seen: list[Observation]) -> float:
    """The most that a queue's memory and its journal hold on to at any of some moments, observations aside."""
    return max(_bytes_after(seen[: len(seen) * part // PARTS]) for part in range(1, PARTS + 1))


def _bytes_after(seen: list[Observation]) -> float:
    gc.collect()
    tracemalloc.start()
    memory, journal = None, Journal()
    for observation in seen:
        decision, memory = decide(SPEC, memory, observation)
        journal.note(observation, decision)
    del decision
    gc.collect()
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return float(size)


def main() -> None:
    seen = busy_day()
    busy = busy_seconds(seen)
    figures = {
        "idle decision": idle_seconds(),
        "busy decision, median": busy[len(busy) // 2],
        "busy decision, p99": busy[int(len(busy) * 0.99)],
        "memory": memory_bytes(seen),
    }
    rows = []
    for name, value in figures.items():
        goal = GOALS[name]
        shown = (
            (f"{value / 1000:.1f} kB", f"{goal / 1000:.0f} kB")
            if name == "memory"
            else (f"{value * 1e6:.1f} µs", f"{goal * 1e6:.0f} µs")
        )
        rows.append([name, *shown, "met" if value <= goal else "missed"])
    pods = max(len(observation.pods) for observation in seen)
    text = (
        f"# What a decision costs\n\n{machine()}; processor time, up to {pods} pods.\n\n"
        + table(["", "measured", "goal", ""], rows)
        + "\n"
    )
    publish("decide", text, {"machine": machine(), **figures})


if __name__ == "__main__":
    main()

"""What a run cost, and how long tasks waited."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from streamqueue.simulate.fleet import Outcome
from streamqueue.simulate.trace import Trace

HOUR = 3600.0
FEWEST = 100  # tasks that make an hour worth judging by its share of late ones


@dataclass(frozen=True, slots=True)
class Figures:
    """One law on one trace. Waits in seconds, shares in 0..1."""

    pod_hours: float
    over_work: float  # pod-seconds / the service seconds of all tasks, in pods' time
    p50: float
    p95: float
    p99: float
    late: float
    worst_hour: float  # the greatest late share of any hour
    started: int
    peak: int
    killed: int  # tasks whose pod was killed under them


def figures_of(trace: Trace, outcome: Outcome, target: float, concurrency: int) -> Figures:
    """`target` is the wait beyond which a task is late."""
    waits = sorted(outcome.waits)
    return Figures(
        pod_hours=outcome.pod_seconds / HOUR,
        over_work=outcome.pod_seconds * concurrency / trace.work if trace.work else math.inf,
        p50=percentile(waits, 0.50),
        p95=percentile(waits, 0.95),
        p99=percentile(waits, 0.99),
        late=sum(wait > target for wait in waits) / len(waits),
        worst_hour=_worst_hour(trace.arrivals, outcome.waits, target),
        started=outcome.started,
        peak=outcome.peak,
        killed=outcome.killed,
    )


def percentile(ordered: Sequence[float], share: float) -> float:
    """The smallest value that `share` of them don't exceed."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def _worst_hour(arrivals: Sequence[float], waits: Sequence[float], target: float) -> float:
    tasks: dict[int, int] = {}
    late: dict[int, int] = {}
    for arrival, wait in zip(arrivals, waits, strict=True):
        hour = int(arrival // HOUR)
        tasks[hour] = tasks.get(hour, 0) + 1
        if wait > target:
            late[hour] = late.get(hour, 0) + 1
    few = min(FEWEST, max(tasks.values()))
    return max(late.get(hour, 0) / count for hour, count in tasks.items() if count >= few)


def p95_over_time(trace: Trace, waits: Sequence[float], bins: int) -> list[float]:
    """The 95th percentile of the wait of the tasks that arrived in each of `bins` equal spans; 0 where none did."""
    span = (trace.arrivals[-1] or 1.0) / bins
    groups: list[list[float]] = [[] for _ in range(bins)]
    for arrival, wait in zip(trace.arrivals, waits, strict=True):
        groups[min(int(arrival / span), bins - 1)].append(wait)
    return [percentile(sorted(group), 0.95) if group else 0.0 for group in groups]


def over_time(outcome: Outcome, column: int, end: float, bins: int) -> list[float]:
    """The greatest value of a timeline column (1 replicas, 2 ready, 3 waiting) in each of `bins` spans until `end`."""
    values = [0.0] * bins
    span = (end or 1.0) / bins
    for row in outcome.timeline:
        i = min(int(row[0] / span), bins - 1)
        values[i] = max(values[i], row[column])
    return values

"""What a run cost, and how long tasks waited."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

from streamqueue.simulate.outcome import Outcome
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
        late=(len(waits) - bisect_right(waits, target)) / len(waits),
        worst_hour=_worst_hour(trace.arrivals, outcome.waits, target),
        started=outcome.started,
        peak=outcome.peak,
        killed=outcome.killed,
    )


def percentile(ordered: Sequence[float], share: float) -> float:
    """The smallest value that `share` of them don't exceed."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def _worst_hour(arrivals: Sequence[float], waits: Sequence[float], target: float) -> float:
    tasks = zip(arrivals, waits, strict=True)
    hours = [[wait > target for _, wait in hour] for _, hour in groupby(tasks, key=lambda task: task[0] // HOUR)]
    few = min(FEWEST, max(map(len, hours)))
    return max(sum(late) / len(late) for late in hours if len(late) >= few)


def p95_over_time(trace: Trace, waits: Sequence[float], bins: int) -> list[float]:
    """The 95th percentile of the wait of the tasks that arrived in each of `bins` equal spans; 0 where none did."""
    arrivals, span = trace.arrivals, (trace.arrivals[-1] or 1.0) / bins
    cuts = [*(bisect_left(arrivals, i * span) for i in range(bins)), len(arrivals)]
    return [percentile(sorted(waits[i:j]), 0.95) if i < j else 0.0 for i, j in pairwise(cuts)]


def over_time(outcome: Outcome, column: int, end: float, bins: int) -> list[float]:
    """The greatest value of a timeline column (1 replicas, 2 ready, 3 waiting) in each of `bins` spans until `end`."""
    values = [0.0] * bins
    span = (end or 1.0) / bins
    for row in outcome.timeline:
        i = min(int(row[0] / span), bins - 1)
        values[i] = max(values[i], row[column])
    return values

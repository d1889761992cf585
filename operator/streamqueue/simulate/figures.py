"""What a run cost, and how long tasks waited."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

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
    hours = list(_groups(arrivals, waits, HOUR, int(arrivals[-1] // HOUR) + 1))
    few = min(FEWEST, max(map(len, hours)))
    return max(sum(wait > target for wait in group) / len(group) for group in hours if len(group) >= few)


def p95_over_time(trace: Trace, waits: Sequence[float], bins: int) -> list[float]:
    """The 95th percentile of the wait of the tasks that arrived in each of `bins` equal spans; 0 where none did."""
    groups = _groups(trace.arrivals, waits, (trace.arrivals[-1] or 1.0) / bins, bins)
    return [percentile(sorted(group), 0.95) if group else 0.0 for group in groups]


def _groups(arrivals: Sequence[float], waits: Sequence[float], span: float, count: int) -> Iterator[Sequence[float]]:
    """The waits of the tasks that arrived in each of `count` spans of `span` seconds; the last is open."""
    start = 0
    for i in range(1, count + 1):
        end = bisect_left(arrivals, i * span, start) if i < count else len(arrivals)
        yield waits[start:end]
        start = end


def over_time(outcome: Outcome, column: int, end: float, bins: int) -> list[float]:
    """The greatest value of a timeline column (1 replicas, 2 ready, 3 waiting) in each of `bins` spans until `end`."""
    values = [0.0] * bins
    span = (end or 1.0) / bins
    for row in outcome.timeline:
        i = min(int(row[0] / span), bins - 1)
        values[i] = max(values[i], row[column])
    return values

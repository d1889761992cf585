"""The KEDA configuration that serves one trace best: what a patient expert would find by trying."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from streamqueue.simulate.cluster import Cluster
from streamqueue.simulate.figures import Figures, figures_of
from streamqueue.simulate.fleet import Fleet
from streamqueue.simulate.laws import KedaConfig, KedaLaw, Metric
from streamqueue.simulate.outcome import tail
from streamqueue.simulate.trace import Trace

TARGETS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)
COOLDOWNS = ((300.0, 300.0), (30.0, 0.0))  # cooldownPeriod, stabilizationWindowSeconds: beside 60 for both
EXCERPT = 60_000  # tasks that a configuration is tried on

Tried = tuple[tuple[bool, float], KedaConfig]  # whether it misses the target, and its p95 then, else its pod-hours


def run_keda(trace: Trace, cluster: Cluster, config: KedaConfig, target: float) -> Figures:
    longest = tail(target, trace.services)
    outcome = Fleet(trace.arrivals, trace.services, cluster, KedaLaw(config), tail=longest).run()
    return figures_of(trace, outcome, target, cluster.concurrency)


def tune_keda(
    trace: Trace,
    cluster: Cluster,
    target: float,
    base: KedaConfig,
    metrics: Sequence[Metric],
    progress: Callable[[float], None] = lambda _: None,
) -> KedaConfig:
    """The cheapest configuration whose p95 wait meets `target`; the one with the least p95 where none does.

    Long traces are tried on their busiest stretch.
    """
    sample = excerpt(trace)
    tried: list[Tried] = []
    total = len(metrics) * (len(TARGETS) + len(COOLDOWNS))

    def attempt(best: Tried | None, config: KedaConfig) -> Tried:
        tried.append(_better(best, sample, cluster, config, target))
        progress(len(tried) / total)
        return tried[-1]

    for metric in metrics:
        best: Tried | None = None
        first = replace(base, metric=metric, cooldown=60.0, stabilization=60.0, poll=5.0)
        for value in TARGETS:
            best = attempt(best, replace(first, target=value))
        assert best is not None
        for cooldown, stabilization in COOLDOWNS:
            best = attempt(best, replace(best[1], cooldown=cooldown, stabilization=stabilization))
    return min(tried, key=lambda pair: pair[0])[1]


def excerpt(trace: Trace) -> Trace:
    """The `EXCERPT` tasks in a row that arrive fastest."""
    count = len(trace.arrivals)
    if count <= EXCERPT:
        return trace
    arrivals = trace.arrivals
    starts = range(0, count - EXCERPT + 1, EXCERPT // 10)
    start = min(starts, key=lambda i: arrivals[i + EXCERPT - 1] - arrivals[i])
    end = start + EXCERPT
    first = arrivals[start]
    return Trace(trace.name, [at - first for at in arrivals[start:end]], trace.services[start:end])


def _better(best: Tried | None, trace: Trace, cluster: Cluster, config: KedaConfig, target: float) -> Tried:
    figures = run_keda(trace, cluster, config, target)
    misses = figures.p95 > target
    score = (misses, figures.p95 if misses else figures.pod_hours)
    return (score, config) if best is None or score < best[0] else best

"""The same tasks as `streamqueue simulate` plays them: how far its figures are those of a cluster."""

from __future__ import annotations

from benchmarks.beside.came import Came
from streamqueue.simulate.cluster import Cluster, ColdStart
from streamqueue.simulate.figures import figures_of
from streamqueue.simulate.fleet import Fleet, Law
from streamqueue.simulate.trace import Trace


def simulate(law: Law, trace: Trace, cold_start: float, target: float, later: float) -> Came:
    """The trace begins `later` seconds after the law's first look; pods take `cold_start` seconds."""
    moved = Trace(trace.name, [at + later for at in trace.arrivals], trace.services)
    outcome = Fleet(moved.arrivals, moved.services, Cluster(ColdStart(cold_start)), law).run()
    figures = figures_of(moved, outcome, target, 1)
    ends = map(sum, zip(trace.arrivals, outcome.waits, trace.services, strict=True))
    return Came(max(ends), figures.p50, figures.p95, figures.p99, figures.late, outcome.pod_seconds, figures.peak)

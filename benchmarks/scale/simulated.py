"""The same burst as `streamqueue simulate` plays it: how far its figures are those of a cluster."""

from __future__ import annotations

from dataclasses import dataclass

from streamqueue.simulate.cluster import Cluster, ColdStart
from streamqueue.simulate.figures import percentile
from streamqueue.simulate.fleet import Fleet, Law


@dataclass(frozen=True)
class Simulated:
    """As in `Came`, until the last task is done."""

    drained: float
    p50_wait: float
    p95_wait: float
    pod_seconds: float


def simulate(law: Law, tasks: int, seconds: float, cold_start: float, at: float) -> Simulated:
    """So many tasks of so many seconds, `at` seconds after the law's first look; pods take `cold_start` seconds."""
    outcome = Fleet([at] * tasks, [seconds] * tasks, Cluster(ColdStart(cold_start)), law).run()
    waits = sorted(outcome.waits)
    return Simulated(waits[-1] + seconds, percentile(waits, 0.5), percentile(waits, 0.95), outcome.pod_seconds)

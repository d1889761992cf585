"""One queue's scaling on a trace, beside KEDA with its defaults and tuned for that trace."""

from __future__ import annotations

import gc
import math
from collections.abc import Mapping

from streamqueue.api.spec import QueueSpec
from streamqueue.simulate.cluster import Cluster
from streamqueue.simulate.figures import figures_of, over_time, p95_over_time
from streamqueue.simulate.fleet import Fleet, Law, Outcome
from streamqueue.simulate.laws import KedaConfig, KedaLaw, Metric, StreamQueueLaw
from streamqueue.simulate.text import HEADERS, Progress, row, sparkline, table
from streamqueue.simulate.trace import Trace
from streamqueue.simulate.tune import tune_keda

SPARK = 72  # columns of the terminal's plot


def compare(queue: QueueSpec, trace: Trace, cluster: Cluster, *, alone: bool, seed: int) -> dict[str, Outcome]:
    """What each law came to, by its name; `alone` leaves KEDA out. Progress shows on a terminal."""
    gc.freeze()  # the collector need not walk the trace again and again
    outcomes: dict[str, Outcome] = {}
    for name, law in _laws(queue, trace, cluster, alone).items():
        progress = Progress(name)
        outcomes[name] = Fleet(trace.arrivals, trace.services, cluster, law, seed).run(progress)
        progress.done()
    return outcomes


def late_after(queue: QueueSpec) -> float:
    """Seconds of waiting after which a task counts as late."""
    return queue.scaling.target_wait if queue.scaling.target_wait is not None else 30.0


def _laws(queue: QueueSpec, trace: Trace, cluster: Cluster, alone: bool) -> dict[str, Law]:
    laws: dict[str, Law] = {"StreamQueue": StreamQueueLaw(queue.scaling)}
    if alone:
        return laws
    base = KedaConfig(min_replicas=queue.scaling.min_replicas, max_replicas=queue.scaling.max_replicas)
    laws["KEDA defaults"] = KedaLaw(base)
    progress = Progress("tuning KEDA")
    tuned = tune_keda(trace, cluster, late_after(queue), base, (Metric.LAG, Metric.DUAL, Metric.SUM), progress)
    progress.done()
    laws[
        f"KEDA {tuned.metric}, target {tuned.target:g}, cooldown {tuned.cooldown:g} s, window {tuned.stabilization:g} s"
    ] = KedaLaw(tuned)
    return laws


def report(trace: Trace, outcomes: Mapping[str, Outcome], target: float, cluster: Cluster) -> str:
    """A table with one line per law, then replicas, waiting and p95 wait over time as rows of blocks."""
    end = trace.arrivals[-1]
    lines = [
        f"{trace.name}: {len(trace.arrivals):,} tasks in {end / 3600:.2f} h, "
        f"{trace.work / cluster.concurrency / 3600:.2f} pod-hours of work; "
        f"pods take {cluster.cold_start.median:g} s; a task that waits longer than {target:g} s is late",
        "",
        table(HEADERS, [row(n, figures_of(trace, o, target, cluster.concurrency)) for n, o in outcomes.items()]),
    ]
    for name, outcome in outcomes.items():
        lines += ["", name]
        for label, values in (
            ("replicas", over_time(outcome, 1, end, SPARK)),
            ("waiting", over_time(outcome, 3, end, SPARK)),
            ("p95 wait", p95_over_time(trace, outcome.waits, SPARK)),
        ):
            top = max((value for value in values if math.isfinite(value)), default=0.0)
            lines.append(f"{label:>9} {sparkline(values)} {top:.0f}{' s' if label == 'p95 wait' else ''}")
    return "\n".join(lines)

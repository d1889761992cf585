"""`python -m benchmarks.scaling`: cost and waits over production traces, beside KEDA."""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.report import machine, publish
from benchmarks.scaling.traces import TRACES
from streamqueue.api.spec import Scaling
from streamqueue.simulate.figures import Figures, figures_of
from streamqueue.simulate.fleet import Cluster, ColdStart, Fleet
from streamqueue.simulate.laws import KedaConfig, Metric, StreamQueueLaw
from streamqueue.simulate.text import HEADERS, Progress, row, table
from streamqueue.simulate.trace import Trace
from streamqueue.simulate.tune import run_keda, tune_keda

MAX_REPLICAS = 1000
OURS = "StreamQueue"
NOTE = (
    "In brackets: pods started times their median cold start, over the work: paid before the first task. It keeps the "
    "bursty traces up, whose bursts are about as long as the cold start. With four tasks at once, a queue that needs "
    "less than one pod pays for a whole one. A target no longer than the cold start is only met by pods kept "
    "between bursts."
)


@dataclass(frozen=True, slots=True)
class Setting:
    """One column of goals: `goal` is pod-hours ÷ pure work, the geometric mean over the traces."""

    name: str
    cold_start: float
    target: float
    goal: float
    sigma: float = 0.0
    concurrency: int = 1

    @property
    def cluster(self) -> Cluster:
        return Cluster(ColdStart(self.cold_start, self.sigma), self.concurrency)


SETTINGS = (
    Setting("5/30", 5, 30, 1.05),
    Setting("30/60", 30, 60, 1.10),
    Setting("30/30", 30, 30, 1.30),
    Setting("30/60, jitter 0.5", 30, 60, 1.15, sigma=0.5),
    Setting("5/30, concurrency 4", 5, 30, 1.05 * 1.1, concurrency=4),
    Setting("30/60, concurrency 4", 30, 60, 1.10 * 1.1, concurrency=4),
)


def run_ours(trace: Trace, setting: Setting) -> Figures:
    spec = Scaling(max_replicas=MAX_REPLICAS, target_wait=setting.target, concurrency=setting.concurrency)
    outcome = Fleet(trace.arrivals, trace.services, setting.cluster, StreamQueueLaw(spec)).run()
    return figures_of(trace, outcome, setting.target, setting.concurrency)


def run_peers(trace: Trace, setting: Setting) -> Iterator[tuple[str, Figures]]:
    base = KedaConfig(max_replicas=MAX_REPLICAS)
    yield "KEDA defaults", run_keda(trace, setting.cluster, base, setting.target)
    for metric in (Metric.LAG, Metric.DUAL, Metric.SUM):
        tuned = tune_keda(trace, setting.cluster, setting.target, base, (metric,))
        values = f"{tuned.target:g}, {tuned.cooldown:g}/{tuned.stabilization:g} s"
        yield f"KEDA tuned, {metric} {values}", run_keda(trace, setting.cluster, tuned, setting.target)


def geometric_mean(values: list[float]) -> float:
    return math.exp(sum(map(math.log, values)) / len(values))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only-ours", action="store_true", help="leave the peers out, and write no result")
    options = parser.parse_args()
    traces = [make() for make in TRACES.values()]
    parts: list[str] = []
    figures: list[dict[str, Any]] = []
    summary: list[list[str]] = []
    began = time.monotonic()
    progress = Progress("scaling")
    for i, setting in enumerate(SETTINGS):
        ratios: list[float] = []
        starting: list[float] = []  # cold starts, in pure work
        met = True
        rows: list[list[str]] = []
        killed = 0
        for j, trace in enumerate(traces):
            progress((i * len(traces) + j) / (len(SETTINGS) * len(traces)))
            results = [(OURS, run_ours(trace, setting))]
            if not options.only_ours:
                results += run_peers(trace, setting)
            for name, result in results:
                rows.append(row(f"{trace.name}: {name}", result))
                figures.append({"setting": setting.name, "trace": trace.name, "law": name, **asdict(result)})
            ours = results[0][1]
            ratios.append(ours.over_work)
            starting.append(ours.started * setting.cold_start * setting.concurrency / trace.work)
            met = met and ours.p95 <= setting.target
            killed += ours.killed
        mean = geometric_mean(ratios)
        verdict = "met" if mean <= setting.goal else "missed"
        per_trace = ", ".join(
            f"{trace.name} {ratio:.3f} ({cold:.3f})"
            for trace, ratio, cold in zip(traces, ratios, starting, strict=True)
        )
        summary.append(
            [
                setting.name,
                f"{mean:.3f}",
                f"{setting.goal:.3f}",
                verdict,
                "yes" if met else "no",
                str(killed),
                per_trace,
            ]
        )
        print(f"{setting.name}: {mean:.3f}, goal {setting.goal:.3f}: {per_trace}", file=sys.stderr, flush=True)
        parts.append(f"## Cold start/target {setting.name}\n\n{table(HEADERS, rows)}\n")
    progress.done()
    text = "\n".join(
        [
            "# Scaling: cost and waits over production traces\n",
            f"{machine()}; {time.monotonic() - began:.0f} s. One configuration of ours for all; KEDA's is tuned "
            "for each trace and setting. Late: waits beyond the target. Killed: tasks whose pod was killed.\n",
            table(
                [
                    "cold start/target",
                    "ours ÷ work",
                    "goal",
                    "",
                    "p95 in target",
                    "killed",
                    "by trace (of it cold starts)",
                ],
                summary,
            ),
            f"\n{NOTE}\n",
            *parts,
        ]
    )
    if options.only_ours:
        print(text)
    else:
        publish("scaling", text, {"machine": machine(), "runs": figures})


if __name__ == "__main__":
    main()

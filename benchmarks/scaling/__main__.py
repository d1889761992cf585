"""`python -m benchmarks.scaling`: cost and waits over production traces, beside KEDA."""

from __future__ import annotations

import argparse
import json
import math
import os
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace

from benchmarks.report import RESULTS, machine, publish
from benchmarks.scaling.synthetic import SYNTHETIC
from benchmarks.scaling.traces import TRACES
from streamqueue.api.spec import Scaling, TargetWait
from streamqueue.simulate.cluster import Cluster, ColdStart
from streamqueue.simulate.figures import Figures, figures_of
from streamqueue.simulate.fleet import Fleet
from streamqueue.simulate.laws import KedaConfig, Metric, StreamQueueLaw
from streamqueue.simulate.text import HEADERS, Progress, row, table
from streamqueue.simulate.trace import Trace
from streamqueue.simulate.tune import run_keda, tune_keda

MAX_REPLICAS = 1000
OURS = "StreamQueue"
NOTE = (
    "In brackets: pods started times their median cold start, over the work: paid before the first task. It keeps the "
    "bursty traces up, whose bursts are about as long as the cold start. With four tasks at once, a queue that needs "
    "less than one pod pays for slots that it leaves unused. A target no longer than the cold start is only met by "
    "pods kept between bursts."
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
    spec = Scaling(
        max_replicas=MAX_REPLICAS, target=TargetWait(setting.target), concurrency=setting.concurrency, cordons=True
    )
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


def run(setting: Setting, trace: Trace, peers: bool) -> list[tuple[str, Figures]]:
    """Ours first, then the peers."""
    return [(OURS, run_ours(trace, setting)), *(run_peers(trace, setting) if peers else ())]


def peers_before() -> dict[tuple[str, str], list[tuple[str, Figures]]]:
    """The peers' rows of the results that are there."""
    found: dict[tuple[str, str], list[tuple[str, Figures]]] = {}
    for run_before in json.loads((RESULTS / "scaling.json").read_text())["runs"]:
        place, law = (run_before.pop("setting"), run_before.pop("trace")), run_before.pop("law")
        if law != OURS:
            found.setdefault(place, []).append((law, Figures(**run_before)))
    return found


def summarize(setting: Setting, traces: list[Trace], ours: list[Figures]) -> list[str]:
    """One line of the first table."""
    mean = geometric_mean([figures.over_work for figures in ours])
    per_trace = ", ".join(
        f"{trace.name} {figures.over_work:.3f} "
        f"({figures.started * setting.cold_start * setting.concurrency / trace.work:.3f})"
        for trace, figures in zip(traces, ours, strict=True)
    )
    return [
        setting.name,
        f"{mean:.3f}",
        f"{setting.goal:.3f}",
        "met" if mean <= setting.goal else "missed",
        "yes" if all(figures.p95 <= setting.target for figures in ours) else "no",
        str(sum(figures.killed for figures in ours)),
        per_trace,
    ]


SUMMARY = ["cold start/target", "ours ÷ work", "goal", "", "p95 in target", "killed", "by trace (of it cold starts)"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only-ours", action="store_true", help="leave the peers out, and write no result")
    parser.add_argument(
        "--keep-peers", action="store_true", help="take the peers' rows from the results that are there"
    )
    parser.add_argument("--synthetic", action="store_true", help="made-up arrivals, ours only; writes no result")
    parser.add_argument(
        "--concurrency",
        type=int,
        help="so many tasks at once in each pod, at all settings; ours only; writes no result",
    )
    options = parser.parse_args()
    traces = [make() for make in (SYNTHETIC if options.synthetic else TRACES).values()]
    publishes = not (options.only_ours or options.synthetic or options.concurrency)
    settings = (
        [replace(each, concurrency=options.concurrency) for each in SETTINGS if each.concurrency == 1]
        if options.concurrency
        else SETTINGS
    )
    kept = peers_before() if publishes and options.keep_peers else {}
    began = time.monotonic()
    progress = Progress("scaling")
    jobs = [(setting, trace) for setting in settings for trace in traces]
    results: list[list[tuple[str, Figures]]] = []
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        tasks = [pool.submit(run, setting, trace, publishes and not kept) for setting, trace in jobs]
        for (setting, trace), task in zip(jobs, tasks, strict=True):
            results.append([*task.result(), *kept.get((setting.name, trace.name), ())])
            progress(len(results) / len(jobs))
    progress.done()
    summary, parts, figures = [], [], []
    for i, setting in enumerate(settings):
        found = results[i * len(traces) : (i + 1) * len(traces)]
        summary.append(summarize(setting, traces, [rows[0][1] for rows in found]))
        named = [(trace.name, law, result) for trace, rows in zip(traces, found, strict=True) for law, result in rows]
        shown = table(HEADERS, [row(f"{trace}: {law}", result) for trace, law, result in named])
        parts.append(f"## Cold start/target {setting.name}\n\n{shown}\n")
        figures += [
            {"setting": setting.name, "trace": trace, "law": law, **asdict(result)} for trace, law, result in named
        ]
    of = ", and as it was in the run before" if kept else "; all rows are of one run"
    peers = f"KEDA's is tuned for each trace and setting{of}"
    text = "\n".join(
        [
            "# Scaling: cost and waits over production traces\n",
            f"{machine()}; {time.monotonic() - began:.0f} s. One configuration of ours for all; {peers}. "
            "Late: waits beyond the target. Killed: tasks whose pod was killed.\n",
            table(SUMMARY, summary),
            f"\n{NOTE}\n",
            *parts,
        ]
    )
    if publishes:
        publish("scaling", text, {"machine": machine(), "runs": figures})
    else:
        print(text)


if __name__ == "__main__":
    main()

"""`python -m streamqueue.simulate -f queue.yaml --trace arrivals.csv`."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path

from streamqueue.api.durations import parse_duration
from streamqueue.api.spec import QueueSpec
from streamqueue.simulate.figures import figures_of, over_time, p95_over_time
from streamqueue.simulate.fleet import Cluster, ColdStart, Fleet, Law, Nodes, Outcome
from streamqueue.simulate.laws import KedaConfig, KedaLaw, Metric, StreamQueueLaw
from streamqueue.simulate.plot import can_plot, plot
from streamqueue.simulate.queue_file import QueueFileError, read_queue
from streamqueue.simulate.text import HEADERS, Progress, row, sparkline, table
from streamqueue.simulate.trace import Trace, TraceError, read_trace
from streamqueue.simulate.tune import tune_keda

SPARK = 72
GRACE_MARGIN = 30.0  # seconds of termination grace beyond the handler's time-out


def main(arguments: Sequence[str] | None = None) -> int:
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        queue = read_queue(options.file)
        trace = read_trace(options.trace)
        cluster = _cluster(options, queue)
    except (QueueFileError, TraceError, argparse.ArgumentTypeError) as error:
        print(f"simulate: {error}", file=sys.stderr)
        return 2
    laws = _laws(options, queue, trace, cluster)
    outcomes: dict[str, Outcome] = {}
    for name, law in laws.items():
        progress = Progress(name)
        outcomes[name] = Fleet(trace.arrivals, trace.services, cluster, law, options.seed).run(progress)
        progress.done()
    target = _target(queue)
    print(_report(trace, outcomes, target, cluster))
    if options.png is not None:
        if not can_plot():
            print("simulate: no PNG without matplotlib: pip install matplotlib", file=sys.stderr)
            return 1
        plot(options.png, trace, outcomes, target)
        print(f"\nPlot: {options.png}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="streamqueue simulate",
        description="Run a StreamQueue's scaling on a trace, beside KEDA with its defaults and tuned for it.",
    )
    parser.add_argument("-f", "--file", type=Path, required=True, help="manifest of the StreamQueue")
    parser.add_argument("--trace", type=Path, required=True, help="CSV: arrival time, service seconds")
    parser.add_argument("--cold-start", type=_duration, default=15.0, help="a pod's median time until ready (15s)")
    parser.add_argument("--cold-start-sigma", type=_sigma, default=0.0, help="its log-normal spread (0)")
    parser.add_argument(
        "--nodes",
        type=_nodes,
        metavar="FIRST:PODS:LIMIT[:START]",
        help="nodes there are, pods on each, most nodes, seconds until a new one is there (60)",
    )
    parser.add_argument("--png", type=Path, help="also plot to this file (needs matplotlib)")
    parser.add_argument("--only", action="store_true", help="leave KEDA out")
    parser.add_argument("--seed", type=int, default=0, help="of the dice for cold starts (0)")
    return parser


def _duration(text: str) -> float:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _sigma(text: str) -> float:
    try:
        sigma = float(text)
    except ValueError:
        sigma = math.nan
    if not 0 <= sigma <= 3:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to 3")
    return sigma


def _nodes(text: str) -> Nodes:
    try:
        first, pods, limit, *start = (int(part) for part in text.split(":"))
    except ValueError:
        first, pods, limit, start = -1, 0, 0, []
    if first < 0 or pods < 1 or limit < max(1, first) or len(start) > 1 or any(second < 0 for second in start):
        raise argparse.ArgumentTypeError(f"{text!r} is not FIRST:PODS:LIMIT or FIRST:PODS:LIMIT:START, whole numbers")
    return Nodes(first, pods, limit, float(start[0]) if start else 60.0)


def _cluster(options: argparse.Namespace, queue: QueueSpec) -> Cluster:
    return Cluster(
        cold_start=ColdStart(options.cold_start, options.cold_start_sigma),
        concurrency=queue.handler.concurrency,
        grace=queue.handler.timeout * queue.handler.batch + GRACE_MARGIN,
        reclaim=queue.delivery.visibility_timeout,
        nodes=options.nodes,
    )


def _target(queue: QueueSpec) -> float:
    return queue.scaling.target_wait if queue.scaling.target_wait is not None else 30.0


def _laws(options: argparse.Namespace, queue: QueueSpec, trace: Trace, cluster: Cluster) -> dict[str, Law]:
    laws: dict[str, Law] = {"StreamQueue": StreamQueueLaw(queue.scaling)}
    if options.only:
        return laws
    base = KedaConfig(min_replicas=queue.scaling.min_replicas, max_replicas=queue.scaling.max_replicas)
    laws["KEDA defaults"] = KedaLaw(base)
    progress = Progress("tuning KEDA")
    tuned = tune_keda(trace, cluster, _target(queue), base, (Metric.LAG, Metric.DUAL, Metric.SUM), progress)
    progress.done()
    name = (
        f"KEDA {tuned.metric}, target {tuned.target:g}, cooldown {tuned.cooldown:g} s, window {tuned.stabilization:g} s"
    )
    laws[name] = KedaLaw(tuned)
    return laws


def _report(trace: Trace, outcomes: dict[str, Outcome], target: float, cluster: Cluster) -> str:
    end = trace.arrivals[-1]
    lines = [
        f"{trace.name}: {len(trace.arrivals):,} tasks in {end / 3600:.2f} h, "
        f"{trace.work / cluster.concurrency / 3600:.2f} pod-hours of work; "
        f"pods take {cluster.cold_start.median:g} s; a task that waits longer than {target:g} s is late",
        "",
        table(HEADERS, [row(n, figures_of(trace, o, target, cluster.concurrency)) for n, o in outcomes.items()]),
    ]
    for name, outcome in outcomes.items():
        for label, values in (
            ("replicas", over_time(outcome, 1, end, SPARK)),
            ("waiting", over_time(outcome, 3, end, SPARK)),
            ("p95 wait", p95_over_time(trace, outcome.waits, SPARK)),
        ):
            top = max((value for value in values if math.isfinite(value)), default=0.0)
            lines.append(
                f"{'' if label != 'replicas' else chr(10) + name + chr(10)}{label:>9} {sparkline(values)} {top:.0f}"
            )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())

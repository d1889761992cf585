"""`python -m benchmarks.replay`: minutes of a production trace, ours and KEDA side by side on the kind cluster."""

from __future__ import annotations

import argparse

from benchmarks.beside.fleets import PER_REPLICA, run
from benchmarks.beside.table import figures_of, text_of
from benchmarks.report import publish
from benchmarks.scaling.traces import TRACES
from streamqueue.simulate.trace import Trace


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trace", choices=TRACES, default="azure-code")
    parser.add_argument("--minutes", type=float, default=10.0, help="from its begin")
    parser.add_argument("--target", type=float, default=30.0, help="seconds that a task may wait")
    options = parser.parse_args()
    trace = first_minutes(TRACES[options.trace](), options.minutes)
    ran = run(trace, {"targetWait": f"{options.target:g}s"}, options.target)
    what = (
        f"The first {options.minutes:g} minutes of {trace.name}: {len(trace.arrivals)} tasks, {trace.work:.0f} s of "
        f"work. StreamQueue is told `targetWait: {options.target:g}s`, KEDA {PER_REPLICA} tasks a replica, its default."
    )
    title = f"{options.minutes:g} minutes of production traffic, side by side"
    publish("replay", text_of(title, what, trace.work, ran), figures_of(ran))


def first_minutes(trace: Trace, minutes: float) -> Trace:
    """The tasks that come in so many minutes from the first on."""
    tasks = [task for task in zip(trace.arrivals, trace.services, strict=True) if task[0] < minutes * 60]
    return Trace(trace.name, [at for at, _ in tasks], [service for _, service in tasks])


if __name__ == "__main__":
    main()

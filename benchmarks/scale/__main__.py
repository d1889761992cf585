"""`python -m benchmarks.scale`: a burst on a sleeping queue, ours and KEDA side by side on the kind cluster.

Both are told the same: so many tasks a replica, at most so many replicas.
"""

from __future__ import annotations

import argparse

from benchmarks.beside.fleets import PER_REPLICA, REPLICAS, run
from benchmarks.beside.table import figures_of, text_of
from benchmarks.report import publish
from streamqueue.simulate.trace import Trace

TARGET = 30.0  # seconds; what waits longer is called late


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=10.0, help="that each task takes")
    options = parser.parse_args()
    trace = Trace("burst", [0.0] * options.tasks, [options.seconds] * options.tasks)
    ran = run(trace, {"targetBacklog": PER_REPLICA}, TARGET)
    what = (
        f"{options.tasks} tasks of {options.seconds:g} s come at once to a sleeping queue: {trace.work:.0f} s of work. "
        f"Late: more than {TARGET:g} s. Both are told {PER_REPLICA} tasks a replica."
    )
    title = f"0 to {REPLICAS} replicas, side by side"
    publish("scale", text_of(title, what, trace.work, ran, burst=True), figures_of(ran))


if __name__ == "__main__":
    main()

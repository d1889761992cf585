"""Replicas, waiting tasks and waits over time as a PNG. Needs matplotlib."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from streamqueue.simulate.figures import over_time, p95_over_time
from streamqueue.simulate.outcome import Outcome
from streamqueue.simulate.trace import Trace

BINS = 400


def can_plot() -> bool:
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        return False
    return True


def plot(path: Path, trace: Trace, outcomes: Mapping[str, Outcome], target: float) -> None:
    """One line per law in each of three panels, written to `path`."""
    from matplotlib.figure import Figure

    end = trace.arrivals[-1]
    hours = [end * i / BINS / 3600 for i in range(BINS)]
    figure = Figure(figsize=(11, 8), layout="constrained")
    replicas, waiting, waits = figure.subplots(3, 1, sharex=True)
    for name, outcome in outcomes.items():
        replicas.step(hours, over_time(outcome, 1, end, BINS), label=name, linewidth=1)
        waiting.step(hours, over_time(outcome, 3, end, BINS), linewidth=1)
        waits.step(hours, p95_over_time(trace, outcome.waits, BINS), linewidth=1)
    waits.axhline(target, color="black", linestyle=":", linewidth=1)
    replicas.set_ylabel("replicas")
    waiting.set_ylabel("waiting")
    waits.set_ylabel("p95 wait, s")
    waits.set_xlabel("hours")
    replicas.legend(loc="upper right")
    replicas.set_title(trace.name, parse_math=False)
    figure.savefig(path, format="png", dpi=110)

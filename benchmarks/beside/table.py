"""The table of two fleets side by side, on the cluster and in the simulator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from tests.cluster import keda

from benchmarks.beside.came import Came
from benchmarks.beside.fleets import OURS, PEER, REPLICAS, Ran
from benchmarks.report import machine

READY = f"first task to {REPLICAS} ready replicas"
HEADS = ("", "StreamQueue", "simulated", f"KEDA {keda.VERSION}", "simulated")


def text_of(title: str, what: str, work: float, ran: Ran, *, burst: bool = False) -> str:
    """A page: `what` says which tasks came and what both were told; `work` is their sum in seconds.

    Of a `burst` it tells when all replicas were there.
    """
    fleets = [ran.came[OURS], ran.simulated[OURS], ran.came[PEER], ran.simulated[PEER]]
    rows = [
        (name, *(_shown(value(fleet)) for fleet in fleets)) for name, value in _figures(work) if burst or name != READY
    ]
    before, after = ran.loads
    lines = [
        f"# {title}",
        "",
        f"{machine()}, shared by both operators, Redis, a whole kind cluster, the benchmark and up to {2 * REPLICAS} "
        f"worker pods; load average {before:.1f} at the start, {after:.1f} at the end.",
        "",
        f"{what} Both run the same pods, {REPLICAS} replicas at most, and keep their other defaults. KEDA is its own "
        "program, built from its Go module, with the lag trigger (polling 30 s, cooldown 300 s) and the cluster's HPA "
        "(sync 15 s, window 300 s); the first task comes half-way between two of its polls.",
        "",
        "Simulated: what `streamqueue simulate` says of the same tasks, with the median start of these pods.",
        "",
        *(f"| {' | '.join(row)} |" for row in (HEADS, ("---", *["---:"] * len(fleets)), *rows)),
    ]
    return "\n".join(lines) + "\n"


def figures_of(ran: Ran) -> dict[str, Any]:
    """For the JSON file."""
    fleets = {name: asdict(came) | {"simulated": asdict(ran.simulated[name])} for name, came in ran.came.items()}
    return {"machine": machine(), "load": list(ran.loads), **fleets}


def _figures(work: float) -> list[tuple[str, Callable[[Came], str | float | None]]]:
    return [
        (READY, lambda came: came.ready),
        ("first task to the last one done", lambda came: came.drained),
        ("wait, median", lambda came: came.p50_wait),
        ("wait, p95", lambda came: came.p95_wait),
        ("wait, p99", lambda came: came.p99_wait),
        ("late", lambda came: f"{100 * came.late:.1f} %"),
        ("pods at most", lambda came: str(came.peak)),
        ("pod-seconds ÷ work, until the last task is done", lambda came: f"{came.pod_seconds / work:.2f}"),
        (
            "pod-seconds ÷ work, until no pod is left",
            lambda came: came.pod_seconds_to_zero and f"{came.pod_seconds_to_zero / work:.2f}",
        ),
        ("first task to no pod left", lambda came: came.zero),
        ("tasks started more than once", lambda came: None if came.started_twice is None else str(came.started_twice)),
        ("a pod's start, median", lambda came: came.cold_start),
    ]


def _shown(value: str | float | None) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else f"{value:.1f} s"

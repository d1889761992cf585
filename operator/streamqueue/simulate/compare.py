"""One queue's scaling on a trace, beside KEDA with its defaults and tuned for that trace."""

from __future__ import annotations

import gc
import math
import multiprocessing
import signal
from collections.abc import Mapping
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection

from streamqueue.api.spec import QueueSpec, TargetWait
from streamqueue.simulate.cluster import Cluster
from streamqueue.simulate.figures import figures_of, over_time, p95_over_time
from streamqueue.simulate.fleet import Fleet
from streamqueue.simulate.laws import KedaConfig, KedaLaw, Metric, StreamQueueLaw
from streamqueue.simulate.outcome import Outcome, tail
from streamqueue.simulate.text import HEADERS, Progress, row, sparkline, table
from streamqueue.simulate.trace import Trace
from streamqueue.simulate.tune import tune_keda

OURS = "StreamQueue"
SPARK = 72  # columns of the terminal's plot


def compare(queue: QueueSpec, trace: Trace, cluster: Cluster, *, alone: bool, seed: int) -> dict[str, Outcome]:
    """What each law came to, by its name; `alone` leaves KEDA out. Progress shows on a terminal.

    KEDA is tuned and played in a second process meanwhile. Raises ChildProcessError where that fails.
    """
    gc.freeze()  # the collector need not walk the trace again and again
    if alone:
        return {OURS: _play_ours(queue, trace, cluster, seed)}
    base = KedaConfig(min_replicas=queue.scaling.min_replicas, max_replicas=queue.scaling.max_replicas)
    here = _begin_second()
    try:
        here.send((base, trace, cluster, late_after(queue), seed))
        outcomes = {OURS: _play_ours(queue, trace, cluster, seed)}
        return outcomes | _hear(here)
    except (EOFError, ConnectionError):
        raise ChildProcessError(
            "the process that plays KEDA has ended early, perhaps for want of memory; --only leaves KEDA out"
        ) from None


def _begin_second() -> Connection:
    """What Ctrl-C tells it as it starts waits there until it can end without a word."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    resource_tracker.ensure_running()  # it would be started else, and with that signals let through
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    context.Process(target=_play_peers, args=(there,), daemon=True).start()
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    there.close()
    return here


def _hear(second: Connection) -> dict[str, Outcome]:
    progress = Progress("KEDA")
    message: float | dict[str, Outcome] = second.recv()
    while isinstance(message, float):
        progress(message)
        message = second.recv()
    progress.done()
    return message


def late_after(queue: QueueSpec) -> float:
    """Seconds of waiting after which a task counts as late; by the default where none are promised."""
    target = queue.scaling.target
    return (target if isinstance(target, TargetWait) else TargetWait()).seconds


def _play_ours(queue: QueueSpec, trace: Trace, cluster: Cluster, seed: int) -> Outcome:
    progress = Progress(OURS)
    law = StreamQueueLaw(queue.scaling)
    longest = tail(late_after(queue), trace.services)
    outcome = Fleet(trace.arrivals, trace.services, cluster, law, seed, tail=longest).run(progress)
    progress.done()
    return outcome


def _play_peers(first: Connection) -> None:
    """KEDA with its defaults, and tuned for this trace. Tells the share that is done, and last what they came to."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # end without a word with the first process
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    base, trace, cluster, target, seed = first.recv()
    gc.freeze()
    tuned = tune_keda(trace, cluster, target, base, (Metric.LAG, Metric.DUAL, Metric.SUM), lambda x: first.send(x / 2))
    name = (
        f"KEDA {tuned.metric}, target {tuned.target:g}, cooldown {tuned.cooldown:g} s, window {tuned.stabilization:g} s"
    )
    outcomes = {}
    for share, (law, config) in enumerate({"KEDA defaults": base, name: tuned}.items(), 3):
        fleet = Fleet(trace.arrivals, trace.services, cluster, KedaLaw(config), seed, tail=tail(target, trace.services))
        outcomes[law] = fleet.run()
        first.send(share / 4)
    first.send(outcomes)


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

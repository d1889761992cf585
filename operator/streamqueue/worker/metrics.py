"""What a worker process measures, in Prometheus's text format (version 0.0.4), without its library."""

from __future__ import annotations

import math
import time
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import fields

from streamqueue.worker.counters import Counters

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
# Seconds: from a call that does next to nothing to the longest of tasks.
BUCKETS = (0.005, 0.025, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0)

_HELP = {
    "acked": ("processed", "Tasks that were done and acknowledged."),
    "parked": ("retried", "Tasks that wait for another try."),
    "dead": ("dead", "Tasks that went to the dead-letter stream."),
    "held": ("held", "Tasks parked because the dead-letter stream is full."),
    "released": ("released", "Tasks handed back unfinished."),
    "stolen": ("lease_lost", "Runs whose lease another worker took."),
    "gone": ("gone", "Tasks whose payload had been deleted."),
    "claimed": ("claimed", "Tasks taken over from other workers."),
}


class Histogram:
    """Cumulative counts of durations, in seconds."""

    def __init__(self) -> None:
        self._counts = [0] * (len(BUCKETS) + 1)
        self._sum = 0.0

    def observe(self, seconds: float) -> None:
        self._counts[bisect_left(BUCKETS, seconds)] += 1
        self._sum += seconds

    def lines(self, name: str, labels: str) -> Iterator[str]:
        total = 0
        for count, bound in zip(self._counts, (*BUCKETS, math.inf), strict=True):
            total += count
            yield f'{name}_bucket{{{labels},le="{"+Inf" if bound == math.inf else bound}"}} {total}'
        yield f"{name}_sum{{{labels}}} {self._sum}"
        yield f"{name}_count{{{labels}}} {total}"


class Metrics:
    """Of one queue's worker. `duration`: of runs, however they end; `end_to_end`: from enqueued to acknowledged."""

    def __init__(self, stream: str, group: str, counters: Counters) -> None:
        self.in_flight = 0
        self.server_ahead = 0.0  # seconds by which Redis's clock, of which enqueueing times are, is ahead of ours
        self.duration = Histogram()
        self.end_to_end = Histogram()
        self._counters = counters
        self._labels = f'stream="{_escaped(stream)}",group="{_escaped(group)}"'

    def ended(self, started: float) -> None:
        """A run, in whatever way; it was `started` at that time of the monotonic clock."""
        self.in_flight -= 1
        self.duration.observe(time.monotonic() - started)

    def acknowledged(self, enqueued_at: float, now: float) -> None:
        """Unix seconds; `enqueued_at` by Redis's clock, 0 where it is not known, `now` by this machine's."""
        if enqueued_at:
            self.end_to_end.observe(max(0.0, now + self.server_ahead - enqueued_at))

    def text(self) -> str:
        return "\n".join(self._lines()) + "\n"

    def _lines(self) -> Iterator[str]:
        for each in fields(self._counters):
            word, text = _HELP[each.name]
            name = f"streamqueue_worker_{word}_total"
            yield from _head(name, "counter", text)
            yield f"{name}{{{self._labels}}} {getattr(self._counters, each.name)}"
        name = "streamqueue_worker_in_flight"
        yield from _head(name, "gauge", "Tasks that run now.")
        yield f"{name}{{{self._labels}}} {self.in_flight}"
        for word, text, histogram in (
            ("duration", "How long runs took, however they ended.", self.duration),
            ("end_to_end", "From a task's enqueueing to its acknowledgement, retries included.", self.end_to_end),
        ):
            name = f"streamqueue_worker_{word}_seconds"
            yield from _head(name, "histogram", text)
            yield from histogram.lines(name, self._labels)


def _head(name: str, kind: str, text: str) -> Iterator[str]:
    yield f"# HELP {name} {text}"
    yield f"# TYPE {name} {kind}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")

"""What a worker process measures, in Prometheus's text format (version 0.0.4), without its library."""

from __future__ import annotations

import math
import time
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence

from streamqueue.worker.metrics.counters import Counters

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
# Seconds: from a call that does next to nothing to the longest of tasks.
BUCKETS = (0.005, 0.025, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0)

_HELP = {
    "acked": ("processed", "Tasks that were done and acknowledged."),
    "parked": ("retried", "Tasks that wait for another try."),
    "dead": ("dead", "Tasks that went to the dead-letter stream."),
    "held": ("held", "Tasks parked because the dead-letter stream, or Redis's memory, is full."),
    "released": ("released", "Tasks handed back unfinished."),
    "stolen": ("lease_lost", "Runs whose lease another worker took."),
    "gone": ("gone", "Tasks whose payload had been deleted."),
    "claimed": ("claimed", "Tasks taken over from other workers."),
}


WIDTH = len(_HELP) + 1 + 2 * (len(BUCKETS) + 2)  # values of Metrics.values()
GAUGES = (len(_HELP),)  # which of them are no sums since the beginning


class Histogram:
    """Counts of durations, in seconds, by the bucket that they fall into."""

    def __init__(self) -> None:
        self._counts = [0] * (len(BUCKETS) + 1)
        self._sum = 0.0

    def observe(self, seconds: float, times: int = 1) -> None:
        self._counts[bisect_left(BUCKETS, seconds)] += times
        self._sum += seconds * times

    def observe_all(self, seconds: Sequence[float]) -> None:
        """The same for each, for less: of many values that are alike few bounds lie between."""
        rest = sorted(seconds)
        self._sum += sum(rest)
        start = 0
        while start < len(rest):
            bucket = bisect_left(BUCKETS, rest[start])
            end = bisect_right(rest, BUCKETS[bucket], start) if bucket < len(BUCKETS) else len(rest)
            self._counts[bucket] += end - start
            start = end

    def values(self) -> list[float]:
        return [*self._counts, self._sum]


class Metrics:
    """Of one queue's worker. `duration`: of runs, however they end; `end_to_end`: from enqueued to acknowledged."""

    def __init__(self, stream: str, group: str, counters: Counters) -> None:
        self.in_flight = 0
        self.server_ahead = 0.0  # seconds by which Redis's clock, of which enqueueing times are, is ahead of ours
        self.duration = Histogram()
        self.end_to_end = Histogram()
        self._counters = counters
        self._labels = f'stream="{_escaped(stream)}",group="{_escaped(group)}"'

    def ended(self, started: float, runs: int = 1) -> None:
        """So many runs of one call, in whatever way; it was `started` at that time of the monotonic clock."""
        self.in_flight -= runs
        self.duration.observe(time.monotonic() - started, runs)

    def acknowledged(self, enqueued_ms: Iterable[float], now_ms: float) -> None:
        """`enqueued_ms` by Redis's clock, 0 where it is not known, `now_ms` by this machine's; both since 1970."""
        now = now_ms + self.server_ahead * 1000
        self.end_to_end.observe_all([(now - then) / 1000 if now > then else 0.0 for then in enqueued_ms if then])

    def values(self) -> list[float]:
        """All as numbers, which may be summed over processes."""
        counts = [getattr(self._counters, word) for word in _HELP]
        return [*counts, self.in_flight, *self.duration.values(), *self.end_to_end.values()]

    def text(self, values: Sequence[float] | None = None) -> str:
        """`values`: of several processes; default: this one's."""
        return "\n".join(self._lines(iter(self.values() if values is None else values))) + "\n"

    def _lines(self, values: Iterator[float]) -> Iterator[str]:
        for word, text in _HELP.values():
            name = f"streamqueue_worker_{word}_total"
            yield from _head(name, "counter", text)
            yield f"{name}{{{self._labels}}} {int(next(values))}"
        name = "streamqueue_worker_in_flight"
        yield from _head(name, "gauge", "Tasks that run now.")
        yield f"{name}{{{self._labels}}} {int(next(values))}"
        for word, text in (
            ("duration", "How long runs took, however they ended."),
            ("end_to_end", "From a task's enqueueing to its acknowledgement, retries included."),
        ):
            name = f"streamqueue_worker_{word}_seconds"
            yield from _head(name, "histogram", text)
            yield from self._histogram(name, values)

    def _histogram(self, name: str, values: Iterator[float]) -> Iterator[str]:
        total = 0
        for bound in (*BUCKETS, math.inf):
            total += int(next(values))
            yield f'{name}_bucket{{{self._labels},le="{"+Inf" if bound == math.inf else bound}"}} {total}'
        yield f"{name}_sum{{{self._labels}}} {next(values)}"
        yield f"{name}_count{{{self._labels}}} {total}"


def _head(name: str, kind: str, text: str) -> Iterator[str]:
    yield f"# HELP {name} {text}"
    yield f"# TYPE {name} {kind}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")

"""Arrivals so far as a cumulative curve: how many entries had been added at each time."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

POINTS = 128
SHORTEST = 1.0  # seconds: entries that come at the same moment tell of no rate


@dataclass(frozen=True, slots=True)
class Arrivals:
    """Times (ascending) and the entries added by then; between them the curve is straight."""

    times: tuple[float, ...]
    counts: tuple[float, ...]

    @property
    def added(self) -> float:
        return self.counts[-1]

    def extend(self, now: float, added: float, span: float) -> Arrivals:
        """The curve up to `now`, with what is older than `span` seconds left out and at most POINTS points."""
        times, counts = self.times, self.counts
        last = len(times)
        if last > 1 and now - times[last - 2] < span / (POINTS - 2):
            last -= 1
        first = 0
        while first + 1 < last and times[first + 1] <= now - span:
            first += 1
        return Arrivals((*times[first:last], now), (*counts[first:last], added))

    def at(self, time: float) -> float:
        """Entries added by `time`; before the curve its first count, after it the last."""
        times, counts = self.times, self.counts
        i = bisect_right(times, time)
        if i == 0:
            return counts[0]
        if i == len(times):
            return counts[-1]
        t0, t1, c0 = times[i - 1], times[i], counts[i - 1]
        return c0 + (counts[i] - c0) * (time - t0) / (t1 - t0)

    def rate(self, window: float) -> float:
        """Arrivals a second over the last `window` seconds, or over as much as is known, a second at least."""
        now = self.times[-1]
        known = min(window, now - self.times[0])
        return (self.added - self.at(now - known)) / max(known, SHORTEST)

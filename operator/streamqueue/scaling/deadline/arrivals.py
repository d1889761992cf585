"""Arrivals so far as a cumulative curve: how many entries had been added at each time."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass

POINTS = 128
SHORTEST = 10.0  # seconds: what comes within moments tells of no rate yet


@dataclass(frozen=True, slots=True)
class Arrivals:
    """Times (ascending) and the entries added by then; between them the curve is straight."""

    times: tuple[float, ...]
    counts: tuple[float, ...]

    @property
    def added(self) -> float:
        return self.counts[-1]

    def extend(self, now: float, added: float, span: float) -> Arrivals:
        """The curve up to `now`, with what is older than `span` seconds left out and at most twice POINTS points."""
        times, counts = self.times, self.counts
        last = len(times)
        if last > 1 and now - times[last - 2] < span / (POINTS - 2):
            last -= 1
        first = 0
        while first + 1 < last and times[first + 1] <= now - span:
            first += 1
        return Arrivals(times[first:last] + (now,), counts[first:last] + (added,))  # noqa: RUF005 - half the time

    def at(self, time: float) -> float:
        """Entries added by `time`; before the curve its first count, after it the last."""
        return self.at_each((time,))[0]

    def at_each(self, moments: Iterable[float]) -> list[float]:
        """Entries added by each of `moments`, which ascend."""
        times, counts = self.times, self.counts
        last, i, found = len(times), 0, []
        for time in moments:
            i = bisect_right(times, time, i)
            if i == 0:
                found.append(counts[0])
            elif i == last:
                found.append(counts[-1])
            else:
                t0, c0 = times[i - 1], counts[i - 1]
                found.append(c0 + (counts[i] - c0) * (time - t0) / (times[i] - t0))
        return found

    def rate(self, window: float) -> float:
        """Arrivals a second over the last `window` seconds, or over what is known of them, `SHORTEST` at least."""
        now = self.times[-1]
        known = min(window, now - self.times[0])
        return (self.added - self.at(now - known)) / max(known, SHORTEST)

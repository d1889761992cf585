"""The most that was needed over the last seconds, in little memory."""

from __future__ import annotations

import math

Peaks = tuple[tuple[float, int], ...]  # (time, need): later and smaller from one to the next

BUCKETS = 64  # times are rounded up to a 64th of the window, which bounds the memory


def push(peaks: Peaks, now: float, need: int, window: float) -> Peaks:
    """Add a need at `now` and drop what is older than `window` seconds."""
    step = max(window, 1e-3) / BUCKETS
    time = math.ceil(now / step) * step
    last = len(peaks)
    while last and peaks[last - 1][1] <= need:
        last -= 1
    first = 0
    while first < last and peaks[first][0] <= now - window:
        first += 1
    if first < last and peaks[last - 1][0] >= time:
        return peaks[first:last]
    return (*peaks[first:last], (time, need))


def peak(peaks: Peaks, since: float) -> int:
    """The most that was needed after `since`; the latest need where that is long ago."""
    for time, need in peaks:
        if time > since:
            return need
    return peaks[-1][1]

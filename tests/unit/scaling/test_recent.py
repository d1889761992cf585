from __future__ import annotations

import itertools

from hypothesis import example, given
from hypothesis import strategies as st

from streamqueue.scaling.recent import BUCKETS, Peaks, peak, push

WINDOW = 64.0


@example([(0.1, 500 - n) for n in range(200)])
@example([(20.0, 500 - n) for n in range(10)])
@given(st.lists(st.tuples(st.floats(0.0, 20.0), st.integers(0, 50)), min_size=1, max_size=80))
def test_the_peak_is_the_most_of_the_window_in_bounded_memory(steps: list[tuple[float, int]]) -> None:
    peaks: Peaks = ()
    seen: list[tuple[float, int]] = []
    now = 0.0
    for pause, need in steps:
        now += pause
        seen.append((now, need))
        peaks = push(peaks, now, need, WINDOW)
        # Times are rounded up by at most a 64th of the window: never a peak dropped early.
        inside = max(n for time, n in seen if time > now - WINDOW)
        nearly = max(n for time, n in seen if time > now - WINDOW - WINDOW / BUCKETS)
        assert inside <= peak(peaks, now - WINDOW) <= nearly
        assert len(peaks) <= BUCKETS + 2
        assert all(a[1] > b[1] for a, b in itertools.pairwise(peaks))


def test_where_all_is_long_ago_the_latest_need_counts() -> None:
    assert peak(((1.0, 9), (2.0, 3)), 5.0) == 3

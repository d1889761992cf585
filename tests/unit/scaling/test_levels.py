"""How long levels are kept. What was reckoned at an earlier look changes no answer."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamqueue.scaling.deadline.levels import LONGEST, Levels, band

GAPS = st.sampled_from([1.0, 3.0, 10.0, 40.0, 200.0, 900.0])
PRICES = st.sampled_from([(5.0, 5.0, 5.0), (30.0, 90.0, 90.0), (30.0, 90.0, 20.0), (300.0, 20.0, 20.0)])


@settings(max_examples=200)
@given(st.lists(st.tuples(GAPS, st.integers(0, 40), PRICES), min_size=1, max_size=60))
def test_patience_that_is_carried_along_is_what_would_be_reckoned_anew(
    looks: list[tuple[float, int, tuple[float, float, float]]],
) -> None:
    levels, now = Levels(), 0.0
    for gap, need, prices in looks:
        now += gap
        levels = levels.note(now, need, 1.0)
        anew, _ = Levels(levels.peaks, levels.gaps).keep((now, now + 2.5), prices, 1.0)
        kept, levels = levels.keep((now, now + 2.5), prices, 1.0)
        assert kept == anew


def test_a_level_is_kept_through_gaps_shorter_than_a_restart_is_worth_and_no_longer() -> None:
    levels = Levels()
    for n in range(10):
        levels = levels.note(100.0 * n, 1, 1.0).note(100.0 * n + 20.0, 0, 1.0)
    last = 920.0
    (short, long), _ = levels.keep((last + 50.0, last + 400.0), (5.0, 200.0, 200.0), 1.0)
    assert (short, long) == (1, 0)
    (cheap,), _ = levels.keep((last + 50.0,), (5.0, 5.0, 5.0), 1.0)
    assert cheap == 0


HOUR = 3600.0
DEAR = (2 * HOUR, 2 * HOUR, 2 * HOUR)  # so that a pod is kept for as long as one ever is


def after_hourly_batches(trickle: bool) -> tuple[Levels, float]:
    """The levels a minute after the last of five batches that need 20 pods, an hour apart; and the time then."""
    levels, now = Levels(), 0.0
    for minute in range(4 * 60 + 2):
        now = minute * 60.0
        levels = levels.note(now, 20 if minute % 60 == 0 else int(trickle and minute % 2), 1.0)
    return levels, now


@pytest.mark.parametrize("trickle", [False, True])
def test_pods_are_not_kept_towards_a_batch_that_comes_after_they_would_have_gone(trickle: bool) -> None:
    levels, now = after_hourly_batches(trickle)
    assert levels.keep((now + 60.0,), DEAR, 1.0)[0][0] <= 1


def test_pods_of_which_less_is_known_are_kept() -> None:
    levels = Levels().note(0.0, 20, 1.0).note(10.0, 0, 1.0)
    assert levels.keep((LONGEST - 20.0, LONGEST + 20.0), DEAR, 1.0)[0] == [20, 0]


def test_bands_widen_and_miss_no_level() -> None:
    bands = [band(level) for level in range(2000)]
    assert bands[:8] == list(range(8))
    assert all(0 <= after - before <= 1 for before, after in pairwise(bands))

"""How long levels are kept. What was reckoned at an earlier look changes no answer."""

from __future__ import annotations

from array import array
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamqueue.scaling.deadline.levels import (
    BINS,
    EDGES,
    ENOUGH,
    GAP_MEMORY,
    LONGEST,
    PEAKS,
    Levels,
    Patience,
    band,
    patience_for,
)

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


@given(st.lists(st.tuples(st.sampled_from([1.0, 1.5, 2.0, 7.0, 60.0]), st.integers(0, 7)), max_size=25))
def test_each_level_learns_the_gaps_between_its_own_needs(looks: list[tuple[float, int]]) -> None:
    levels, now, before = Levels(), 0.0, None
    needed: dict[int, float] = {}
    expected: dict[int, Counter[float]] = {}
    for wait, need in looks:
        now += wait
        levels = levels.note(now, need, 1.0)
        for level in range(1, need + 1):
            gap = now - needed.get(level, now)
            if gap > 1.5 and need != before:  # what is needed at two looks in a row was needed between them
                expected.setdefault(level, Counter())[next(edge for edge in EDGES if gap <= edge)] += 1
            needed[level] = now
        before = need
    assert {level: Counter(dict(zip(EDGES, gaps, strict=False))) for level, gaps in levels.gaps.items()} == expected


def test_old_gaps_fade_and_long_ones_count_as_the_longest() -> None:
    levels, now = Levels(), 0.0
    for gap in (*[5.0] * 200, *[50.0] * 200, *[2 * LONGEST] * 3):
        levels = levels.note(now, 1, 1.0).note(now + 0.1, 0, 1.0)
        now += gap
        if gap > LONGEST:
            levels = Levels(((now - gap, 1), (now - 1.0, 0)), levels.gaps)  # else it would be forgotten, not learnt
    gaps = levels.note(now, 1, 1.0).gaps[1]
    assert sum(gaps) <= GAP_MEMORY + 1.001
    assert gaps[-1] == pytest.approx(3.0, abs=0.1)
    short = next(i for i, edge in enumerate(EDGES) if edge >= 5.0)
    assert gaps[short] < 0.5


def test_little_is_remembered() -> None:
    levels = Levels()
    for n in range(500):
        levels = levels.note(float(n), 1000 - n, 1.0)
    assert len(levels.peaks) == PEAKS
    assert levels.peaks[-1] == (499.0, 501)
    for n in range(100):
        levels = levels.note(500.0 + n, 501, 1.0)
    assert len(levels.peaks) == PEAKS, "a need that stays is one"
    levels = levels.note(600.0 + LONGEST, 1, 1.0).note(601.0 + LONGEST, 0, 1.0)
    assert len(levels.peaks) <= 3


WEIGHTS = st.lists(st.sampled_from([0.0, 0.0, 1.0, 2.5, 12.0]), min_size=BINS, max_size=BINS)


@settings(max_examples=300)
@given(WEIGHTS, st.sampled_from([0.0, 1.0, 10.0, 90.0, 800.0, 1e5]))
def test_the_patience_is_the_one_that_would_have_cost_least(weights: list[float], restart: float) -> None:
    def cost(patience: float) -> float:
        """A level that is kept through a gap costs its time; one that is not, the patience and a start."""
        each = ((edge if edge <= patience else patience + restart) for edge in EDGES)
        return sum(weight * paid for weight, paid in zip(weights, each, strict=True))

    found = patience_for(array("f", weights), 7.0, restart)
    if sum(weights) < ENOUGH:
        assert found.seconds == 7.0
    else:
        assert cost(found.seconds) == pytest.approx(min(map(cost, (0.0, *EDGES))))
        assert found.looks == (found.seconds > 0)


def test_of_a_level_that_little_is_known_of_the_default_holds() -> None:
    once = array("f", [1.0] + [0.0] * (BINS - 1))
    for gaps in (None, once):
        assert patience_for(gaps, 7.0, 90.0) == Patience(gaps, 7.0, 0)
        assert patience_for(gaps, 2 * LONGEST, 90.0).seconds == LONGEST


@pytest.mark.parametrize(
    ("need", "prices", "kept"),
    [
        (1, (5.0, 90.0, 90.0), (1, 0)),
        (3, (5.0, 90.0, 1.0), (3, 0)),
        (1, (90.0, 90.0, 5.0), (1, 0)),  # the first level has a price of its own
        (2, (90.0, 5.0, 90.0), (2, 0)),  # no longer than a start is worth
        (2, (0.0, 90.0, 90.0), (0, 0)),
    ],
)
def test_a_level_is_kept_for_its_patience_from_when_it_was_last_needed(
    need: int, prices: tuple[float, float, float], kept: tuple[int, int]
) -> None:
    levels = Levels().note(96.0, need, 1.0).note(100.0, need, 1.0).note(101.0, 0, 1.0)
    assert tuple(levels.keep((105.0, 105.1), prices, 1.0)[0]) == kept


def test_what_is_no_longer_kept_leaves_what_was_needed_since() -> None:
    levels = Levels()
    for now, need in ((100.0, 3), (102.0, 2), (104.0, 1), (106.0, 0)):
        levels = levels.note(now, need, 2.0)
    times = [107.0, 109.0, 111.0, 113.0]
    assert levels.keep(times, (8.0, 90.0, 90.0), 2.0)[0] == [3, 2, 1, 0]


def test_a_gap_counts_once_it_is_too_long_to_be_kept_through() -> None:
    levels = Levels(((0.0, 20), (0.5, 5), (LONGEST, 1))).note(LONGEST + 1.0, 1, 1.0)
    assert levels.peaks == ((LONGEST + 1.0, 1),)
    assert set(levels.gaps) == set(range(band(2), band(20) + 1))


def test_levels_that_share_their_gaps_learn_each_once() -> None:
    levels = Levels(((0.0, 100), (5.0, 40), (10.0, 0))).note(20.0, 40, 1.0)
    assert {group: sum(gaps) for group, gaps in levels.gaps.items()} == dict.fromkeys(range(1, band(40) + 1), 1)


def test_what_is_learnt_leaves_what_was_known_as_it_was() -> None:
    known = Levels(((0.0, 1), (5.0, 0))).note(20.0, 1, 1.0)
    before = {group: list(gaps) for group, gaps in known.gaps.items()}
    known.note(25.0, 0, 1.0).note(60.0, 1, 1.0)
    assert {group: list(gaps) for group, gaps in known.gaps.items()} == before


def test_a_patience_that_was_learnt_lasts_until_the_look_after_it() -> None:
    gaps = array("f", [0.0] * 9 + [10.0] + [0.0] * (BINS - 10))
    levels = Levels(((100.0, 1), (101.0, 0)), {1: gaps})
    until = 100.0 + EDGES[9] + 2.0
    assert levels.keep((until, until + 0.1), (5.0, 200.0, 200.0), 2.0)[0] == [1, 0]


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
    assert bands[-1] < 50

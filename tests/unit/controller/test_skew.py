from __future__ import annotations

import pytest

from streamqueue.controller.endpoints.skew import KEEP, Skew


def test_the_quickest_look_measures_best() -> None:
    skew = Skew()
    skew.note(sent=100.0, received=100.2, server=103.1)
    skew.note(sent=101.0, received=103.0, server=104.9)
    assert round(skew.seconds, 6) == 3.0
    skew.note(sent=104.0, received=104.1, server=107.25)
    assert round(skew.seconds, 6) == 3.2, "a quicker one is better"


def test_a_quick_look_of_long_ago_is_no_measure_of_now() -> None:
    """Though both may be right: clocks drift."""
    skew = Skew()
    skew.note(sent=100.0, received=100.0, server=103.0)
    skew.note(sent=99.5 + KEEP, received=100.0 + KEEP, server=103.0 + KEEP)
    assert skew.seconds == 3.0
    skew.note(sent=100.5 + KEEP, received=101.0 + KEEP, server=104.0 + KEEP)
    assert skew.seconds == 3.25


@pytest.mark.parametrize(("apart", "holds"), [(0.29, True), (0.31, False)])
def test_two_looks_that_cannot_both_be_right_are_told_by_their_round_trips(apart: float, holds: bool) -> None:
    """Of 0.2 s and 0.4 s: each may be off by half as much."""
    skew = Skew()
    skew.note(sent=100.0, received=100.2, server=100.1)
    skew.note(sent=101.0, received=101.4, server=101.2 + apart)
    assert (abs(skew.seconds) < 0.001) is holds


def test_another_server_after_a_failover_is_measured_at_once() -> None:
    """Else what its workers take would be judged by the last one's clock, for minutes."""
    skew = Skew()
    skew.note(sent=100.0, received=100.01, server=100.005)
    skew.note(sent=101.0, received=101.5, server=101.3)
    assert abs(skew.seconds) < 0.001, "slower, and it may well be the same clock"
    skew.note(sent=102.0, received=102.5, server=107.25)
    assert skew.seconds == 5.0
    skew.note(sent=103.0, received=103.01, server=107.9)
    assert abs(skew.seconds - 4.895) < 0.001, "the next quick look is better again"


def test_a_clock_of_ours_that_was_set_back_is_measured_anew() -> None:
    """What was measured before is wrong by as much, for as long as the clock was set back."""
    skew = Skew()
    skew.note(sent=4000.0, received=4000.01, server=400.0)
    skew.note(sent=401.0, received=401.05, server=401.02)
    assert abs(skew.seconds) < 0.1


def test_a_look_during_which_our_clock_was_set_back_tells_nothing() -> None:
    skew = Skew()
    skew.note(sent=100.0, received=100.1, server=100.05)
    skew.note(sent=101.0, received=41.0, server=101.0)
    assert abs(skew.seconds) < 0.1
    skew.note(sent=42.0, received=42.1, server=102.05)
    assert abs(skew.seconds - 60.0) < 0.1

from __future__ import annotations

from streamqueue.controller.skew import KEEP, Skew


def test_the_quickest_look_measures_best() -> None:
    skew = Skew()
    skew.note(sent=100.0, received=100.2, server=103.1)
    skew.note(sent=101.0, received=103.0, server=104.9)
    assert round(skew.seconds, 6) == 3.0


def test_a_quick_look_of_long_ago_is_no_measure_of_now() -> None:
    skew = Skew()
    skew.note(sent=100.0, received=100.0, server=103.0)
    skew.note(sent=101.0 + KEEP, received=101.5 + KEEP, server=111.25 + KEEP)
    assert skew.seconds == 10.0

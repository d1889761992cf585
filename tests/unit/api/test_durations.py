from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamqueue.api.durations import format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("250ms", 0.25),
        ("45s", 45),
        ("1h30m", 5400),
        ("1.5h", 5400),
        ("0s", 0),
        ("2m0.5s", 120.5),
        ("1m1h", 3660),
        ("1h" * 10, 36000),
    ],
)
def test_durations_read_as_in_go(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "5", "s", "-5s", "1 h", "1d", "1h\n", "1.s", ".5s", "5S", "1000000s", "1h" * 11])
def test_what_is_no_duration_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="write for example 250ms, 45s or 1h30m"):
        parse_duration(text)


@given(st.integers(min_value=0, max_value=10**10))
def test_a_duration_survives_being_written(milliseconds: int) -> None:
    seconds = milliseconds / 1000

    assert parse_duration(format_duration(seconds)) == seconds


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        *[(0, "0s"), (0.25, "250ms"), (45, "45s"), (5400, "1h30m"), (3600.5, "1h0.5s")],
        *[(0.001, "1ms"), (0.999, "999ms"), (1, "1s"), (1.001, "1.001s")],
    ],
)
def test_durations_are_written_in_their_short_form(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


def test_a_negative_duration_is_refused() -> None:
    with pytest.raises(ValueError, match="never negative"):
        format_duration(-1)

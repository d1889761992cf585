"""What the demo counts: a lost or doubled task must show."""

import math

import pytest

from tests.demo.sample import account, sparkline


def _row(task: str, started: float) -> dict[str, str]:
    return {"task": task, "started": str(started)}


def test_every_task_with_one_result_is_neither_lost_nor_double() -> None:
    outcome = account(["1000-0", "2000-0"], [_row("1000-0", 1.5), _row("2000-0", 2.25)])
    assert (outcome.added, outcome.distinct, outcome.duplicates, outcome.lost) == (2, 2, 0, 0)
    assert outcome.waits == (0.25, 0.5)


def test_a_task_without_result_is_lost_and_a_second_result_is_a_duplicate() -> None:
    outcome = account(["1000-0", "2000-0"], [_row("1000-0", 9.0), _row("1000-0", 1.5)])
    assert (outcome.distinct, outcome.duplicates, outcome.lost) == (1, 1, 1)
    assert outcome.waits == (0.5,), "the first start counts"


@pytest.mark.parametrize(("count", "p95"), [(1, 1.0), (20, 19.0), (21, 20.0), (100, 95.0)])
def test_95_of_100_waits_are_no_longer_than_p95(count: int, p95: float) -> None:
    rows = [_row(f"0-{n}", float(n)) for n in range(1, count + 1)]
    assert account([], rows).p95_wait == p95


def test_without_results_no_wait_is_known() -> None:
    assert math.isnan(account(["1-0"], []).p95_wait)


def test_a_sparkline_shows_every_peak_in_its_width() -> None:
    assert sparkline([], 10) == ""
    assert sparkline([0, 0], 10) == "  "
    assert sparkline([0, 4, 8], 10) == " ▄█"
    long = sparkline([0] * 99 + [8], 10)
    assert (len(long), long[-1]) == (10, "█")

"""Decisions told: each at its time, with its numbers."""

from __future__ import annotations

import datetime
import time
from collections.abc import Iterator
from typing import Any

import pytest

from streamqueue.cli.decisions import tell
from streamqueue.cli.errors import BadInput
from streamqueue.cli.moments import parse_clock

NOON = datetime.datetime(2026, 3, 4, 12, 0).astimezone().timestamp()


def entry(at: float, until: float, had: int, replicas: int, **more: Any) -> dict[str, Any]:
    said = {"reason": "ScalingUp", "sentence": f"{had} -> {replicas}: 340 waiting", "known": True, "victims": 0}
    return said | {"at": at, "until": until, "had": had, "replicas": replicas, "pending": 3, "pods": {}} | more


ENTRIES = [entry(10, 20, 0, 2), entry(21, 50, 2, 7, pods={"ready": 2, "starting": 5}), entry(51, 60, 7, 6, victims=2)]


def test_the_decision_that_held_is_found() -> None:
    assert tell.held_at(ENTRIES, 30.0) is ENTRIES[1]
    assert tell.held_at(ENTRIES, 20.5) is ENTRIES[0]
    assert tell.held_at(ENTRIES, 9.9) is None
    assert tell.since(ENTRIES, 50.0) == ENTRIES[1:]


def test_a_line_has_the_numbers() -> None:
    said = tell.line(ENTRIES[1])
    assert "ScalingUp" in said and said.endswith("2 -> 7: 340 waiting; pending 3; pods 2 ready, 5 starting")
    assert "2 marked to go" in tell.line(ENTRIES[2])
    assert "pending" not in tell.line(entry(1, 2, 3, 3, known=False, reason="Unknown"))
    assert "7 workers, ScalingUp, since " in tell.answer(ENTRIES[1], 30.0)


@pytest.mark.parametrize(
    ("word", "ago"),
    [("11:59", 60), ("11:59:30", 30), ("12:01", 86_400 - 60), ("2m30s", 150), ("2026-03-03T12:00", 86_400)],
)
def test_moments_as_people_type_them(word: str, ago: float) -> None:
    assert parse_clock(word, NOON, "--at") == NOON - ago


@pytest.fixture
def central_europe(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("now", "word", "meant"),
    [
        ("2026-03-29T10:00Z", "01:30", "2026-03-29T00:30Z"),  # at two the clocks went forward
        ("2026-03-29T22:30Z", "23:00", "2026-03-29T21:00Z"),
        ("2026-03-29T01:30Z", "23:00", "2026-03-28T22:00Z"),
        ("2026-03-04T11:00Z", "10:00Z", "2026-03-04T10:00Z"),
        ("2026-03-04T11:00Z", "11:30Z", "2026-03-03T11:30Z"),
        ("2026-03-04T11:00Z", "06:00-04:00", "2026-03-04T10:00Z"),
        ("2026-03-04T23:30Z", "23:00Z", "2026-03-04T23:00Z"),  # here it is tomorrow
        ("2026-07-01T11:00Z", "2026-07-01T12:30", "2026-07-01T10:30Z"),
        ("2026-07-01T11:00Z", "2026-07-01T10:30Z", "2026-07-01T10:30Z"),
    ],
)
def test_a_time_of_day_is_that_of_its_zone(central_europe: None, now: str, word: str, meant: str) -> None:
    def epoch(text: str) -> float:
        return datetime.datetime.fromisoformat(text).timestamp()

    assert parse_clock(word, epoch(now), "--at") == epoch(meant)


def test_a_decision_is_told_with_its_times_and_their_day_where_it_is_another(central_europe: None) -> None:
    assert tell.answer(ENTRIES[1], 30.0) == (
        "1970-01-01 01:00:30: 7 workers, ScalingUp, since 1970-01-01 01:00:21 to 1970-01-01 01:00:50  "
        "ScalingUp     2 -> 7: 340 waiting; pending 3; pods 2 ready, 5 starting"
    )
    one = entry(0, 0, 0, 1)
    assert tell.answer(one, 0) == (
        "1970-01-01 01:00:00: 1 worker, ScalingUp, since 1970-01-01 01:00:00  "
        "ScalingUp     0 -> 1: 340 waiting; pending 3"
    )
    assert tell.held_at([one], 0) is one
    assert tell.beginning(0).startswith("The operator decides since 1970-01-01 01:00:00;")
    now = time.time()
    assert tell.clock(now) == time.strftime("%H:%M:%S", time.localtime(now))


def test_nothing_is_known_of_what_is_to_come() -> None:
    with pytest.raises(BadInput, match="--since: '2026-03-05T12:00' is yet to come"):
        parse_clock("2026-03-05T12:00", NOON, "--since")


@pytest.mark.parametrize("word", ["soon", "25:00", "noon", "", "0001-01-01"])
def test_what_is_no_moment_names_the_option(word: str) -> None:
    with pytest.raises(BadInput, match="--at"):
        parse_clock(word, NOON, "--at")

"""Schedules that a CronJob takes, and those that it would refuse."""

from __future__ import annotations

import pytest

from streamqueue.api.cron import check_schedule


@pytest.mark.parametrize(
    "schedule",
    [
        "* * * * *",
        "? ? ? ? ?",
        "0 0 1 1 0",
        "59 23 31 12 6",
        "0-59 0-23 1-31 1-12 0-6",
        "5-5 * * * *",
        "*/10 1/2 1-20/3 * *",
        "0,30 * * JAN,dec sun-Sat",
        "* * * feb-3 1-tue",
    ],
)
def test_what_a_cron_job_takes_is_taken(schedule: str) -> None:
    check_schedule(schedule)


@pytest.mark.parametrize(
    ("schedule", "field"),
    [
        ("60 * * * *", "minute"),
        ("* 24 * * *", "hour"),
        ("* * 0 * *", "day of the month"),
        ("* * 32 * *", "day of the month"),
        ("* * * 0 *", "month"),
        ("* * * 13 *", "month"),
        ("* * * mon *", "month"),
        ("* * * * 7", "day of the week"),
        ("* * * * jan", "day of the week"),
        ("* * * * sat-sun", "day of the week"),
        ("*/0 * * * *", "minute"),
        ("1,,2 * * * *", "minute"),
        ("* 123 * * *", "hour"),
    ],
)
def test_what_a_cron_job_would_refuse_is_named_by_its_field(schedule: str, field: str) -> None:
    with pytest.raises(ValueError, match=f"is no {field} of a cron schedule"):
        check_schedule(schedule)


@pytest.mark.parametrize("schedule", ["* * * *", "* * * * * *", "*  * * * *", "@hourly", ""])
def test_five_fields_are_wanted(schedule: str) -> None:
    with pytest.raises(ValueError, match="must have five cron fields"):
        check_schedule(schedule)

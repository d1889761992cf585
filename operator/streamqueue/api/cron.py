"""Cron schedules with five fields, as a CronJob takes them."""

from __future__ import annotations

import re

_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_DAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
# Name, least, most, names of its values. Sunday is 0 and never 7.
_FIELDS: list[tuple[str, int, int, dict[str, int]]] = [
    ("minute", 0, 59, {}),
    ("hour", 0, 23, {}),
    ("day of the month", 1, 31, {}),
    ("month", 1, 12, {name: number for number, name in enumerate(_MONTHS, 1)}),
    ("day of the week", 0, 6, {name: number for number, name in enumerate(_DAYS)}),
]
_ENTRY = re.compile(r"(?P<first>[0-9]{1,2}|[a-z]{3}|[*?])(-(?P<last>[0-9]{1,2}|[a-z]{3}))?(/(?P<step>[0-9]{1,2}))?")


def check_schedule(schedule: str) -> None:
    """Raises ValueError with a sentence where Kubernetes would refuse `schedule` for a CronJob."""
    fields = schedule.split(" ")
    if len(fields) != len(_FIELDS):
        raise ValueError(
            "must have five cron fields with one space between them (minute hour day month weekday), as in */10 * * * *"
        )
    for text, (name, least, most, names) in zip(fields, _FIELDS, strict=True):
        if not all(_valid(entry, least, most, names) for entry in text.lower().split(",")):
            raise ValueError(f"{text!r} is no {name} of a cron schedule: write *, numbers from {least} to {most}, */n")


def _valid(entry: str, least: int, most: int, names: dict[str, int]) -> bool:
    match = _ENTRY.fullmatch(entry)
    if not match or (match["step"] and int(match["step"]) == 0):
        return False
    if match["first"] in "*?":
        return match["last"] is None
    bounds = [_number(text, names) for text in (match["first"], match["last"]) if text]
    return all(least <= bound <= most for bound in bounds) and bounds == sorted(bounds)


def _number(text: str, names: dict[str, int]) -> int:
    return int(text) if text.isdigit() else names.get(text, -1)

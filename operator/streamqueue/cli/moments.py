"""Moments in a stream as people type them: an entry id, a time, or how long ago."""

from __future__ import annotations

import datetime
import re

from streamqueue.api.durations import parse_duration
from streamqueue.cli.errors import BadInput
from streamqueue.streams.entry_ids import YEAR_2000

_ID = re.compile(r"[0-9]{1,20}-[0-9]{1,20}")


def is_entry_id(word: str) -> bool:
    return _ID.fullmatch(word) is not None and all(int(part) < 2**64 for part in word.split("-"))


def parse_moment(word: str, now: float, option: str) -> str:
    """An id to begin or end a range with; `now` is unix seconds by Redis's clock. "0" is the beginning.

    Raises BadInput naming `option`.
    """
    if word == "0" or is_entry_id(word):
        return word
    try:
        return _milliseconds(now - parse_duration(word))
    except ValueError:
        pass
    try:
        return _milliseconds(_given(word))
    except ValueError:
        raise BadInput(
            f"{option}: {word!r} is no entry id (1700000000000-0), time (2026-01-31T12:00:00Z) or duration ago (2h30m)"
        ) from None


def parse_clock(word: str, now: float, option: str) -> float:
    """Unix seconds of a time of day (its latest), a date and time (local without a zone), or how long ago.

    Raises BadInput, also for what is to come.
    """
    try:
        return now - parse_duration(word)
    except ValueError:
        pass
    try:
        return _latest(datetime.time.fromisoformat(word), now)
    except ValueError:
        pass
    try:
        moment = _given(word)
    except ValueError:
        raise BadInput(f"{option}: {word!r} is no time (03:12, 2026-01-31T03:12) or duration ago (2h30m)") from None
    if moment > now:
        raise BadInput(f"{option}: {word!r} is yet to come")
    return moment


def _latest(day: datetime.time, now: float) -> float:
    """Unix seconds. Of a time without a zone a date alone tells by which clock: the clocks may have changed since."""
    today = datetime.datetime.combine(datetime.datetime.fromtimestamp(now, day.tzinfo).date(), day)
    return max(each for each in (today - datetime.timedelta(days=1), today) if each.timestamp() <= now).timestamp()


def _given(word: str) -> float:
    """Unix seconds; local where there is no zone. Raises ValueError, also for years that no time zone has."""
    return datetime.datetime.fromisoformat(word).timestamp()


def _milliseconds(seconds: float) -> str:
    """Of an id: none is from before 1970."""
    return str(max(0, int(seconds * 1000)))


def entry_time(entry_id: str) -> str | None:
    """When an entry was added, as `utc_time` has it; None where the producer made the id up."""
    return utc_time(int(entry_id.partition("-")[0]) / 1000)


def utc_time(seconds: float) -> str | None:
    """Unix seconds as a time in UTC, to the millisecond; None for what was made up, and is no time."""
    if not YEAR_2000 <= seconds * 1000 < 253_402_300_800_000:  # the end of the year 9999
        return None
    moment = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")

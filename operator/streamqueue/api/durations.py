"""Durations as people write them in manifests: Go style, `1h30m`, `45s`, `250ms`."""

from __future__ import annotations

import re
from fractions import Fraction

# The same in the CRD. Six digits and 20 characters cannot overflow the nanoseconds of a Go duration, so a CEL
# `duration()` over a matching text never fails.
PATTERN = "^([0-9]{1,6}([.][0-9]{1,3})?(ms|s|m|h))+$"
MAX_LENGTH = 20

_WHOLE = re.compile(PATTERN)
_TERM = re.compile(r"([0-9.]+)(ms|s|m|h)")
_UNIT_SECONDS = {"ms": Fraction(1, 1000), "s": Fraction(1), "m": Fraction(60), "h": Fraction(3600)}


def parse_duration(text: str) -> float:
    """Seconds in `text`. Raises ValueError with a sentence that shows how to write one."""
    if len(text) > MAX_LENGTH or not _WHOLE.fullmatch(text):
        raise ValueError(f"{text[:MAX_LENGTH]!r} is no duration: write for example 250ms, 45s or 1h30m")
    return float(sum(Fraction(number) * _UNIT_SECONDS[unit] for number, unit in _TERM.findall(text)))


def format_duration(seconds: float) -> str:
    """`seconds` (0 or more), rounded to the millisecond, as `parse_duration` reads it."""
    total_ms = round(seconds * 1000)
    if total_ms < 0:
        raise ValueError(f"a duration is never negative: {seconds}")
    if 0 < total_ms < 1000:
        return f"{total_ms}ms"
    minutes, ms = divmod(total_ms, 60_000)
    hours, minutes = divmod(minutes, 60)
    parts = [f"{hours}h" if hours else "", f"{minutes}m" if minutes else "", f"{ms / 1000:g}s" if ms else ""]
    return "".join(parts) or "0s"

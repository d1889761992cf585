"""Decisions in lines for people. Pure; times are epoch seconds, shown in local time."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any

Entry = Mapping[str, Any]


def since(entries: Iterable[Entry], start: float) -> list[Entry]:
    """Those that still held at `start`, or came later."""
    return [entry for entry in entries if entry["until"] >= start]


def held_at(entries: Iterable[Entry], moment: float) -> Entry | None:
    """The decision that held then; None before the first that is kept."""
    return next((entry for entry in reversed(list(entries)) if entry["at"] <= moment), None)


def line(entry: Entry) -> str:
    """When, why, and the numbers it was made from."""
    parts = [entry["sentence"]]
    if entry["known"]:
        parts.append(f"pending {entry['pending']}")
    if entry["pods"]:
        parts.append("pods " + ", ".join(f"{count} {state}" for state, count in entry["pods"].items()))
    if entry["victims"]:
        parts.append(f"{entry['victims']} marked to go")
    return f"{_span(entry)}  {entry['reason']:<13} {'; '.join(parts)}"


def answer(entry: Entry, moment: float) -> str:
    """Why so many, at that moment."""
    count = entry["replicas"]
    return f"{clock(moment)}: {count} {'worker' if count == 1 else 'workers'}, {entry['reason']}, since {line(entry)}"


def beginning(leading_since: float) -> str:
    """What isn't known."""
    return f"The operator decides since {clock(leading_since)}; what was before went with the process before it."


def clock(moment: float) -> str:
    """With the date where it isn't today."""
    shown = time.localtime(moment)
    return time.strftime("%H:%M:%S" if shown[:3] == time.localtime()[:3] else "%Y-%m-%d %H:%M:%S", shown)


def _span(entry: Entry) -> str:
    first, last = clock(entry["at"]), clock(entry["until"])
    return first if first == last else f"{first} to {last}"

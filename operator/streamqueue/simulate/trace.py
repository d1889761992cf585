"""Arrival traces: when tasks come, and how long each takes."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

LATEST = 1e11  # seconds, in the year 5138: a time beyond was given in milliseconds
LONGEST = 1e7  # seconds that a task may take


class TraceError(ValueError):
    """A trace that can't be read; the message is for its author."""


@dataclass(frozen=True, slots=True)
class Trace:
    """Tasks in order of arrival: seconds since the first, and service seconds."""

    name: str
    arrivals: list[float]
    services: list[float]

    @property
    def work(self) -> float:
        """Service seconds of all tasks."""
        return sum(self.services)


def read_trace(path: Path) -> Trace:
    """A CSV of arrival time and service seconds, with or without a header line.

    Times are seconds, or ISO 8601; they need not be in order.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            tasks = list(_tasks(csv.reader(file), path.name))
    except OSError as error:
        raise TraceError(f"{path.name}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise TraceError(f"{path.name}: no UTF-8 text") from error
    except csv.Error as error:
        raise TraceError(f"{path.name}: no CSV: {error}") from error
    if not tasks:
        raise TraceError(f"{path.name}: holds no task; each line is an arrival time and the task's service seconds")
    return trace_of(path.stem, tasks)


def trace_of(name: str, tasks: list[tuple[float, float]]) -> Trace:
    """A trace of at least one task: (arrival time, service seconds), in any order."""
    tasks.sort()
    first = tasks[0][0]
    return Trace(name, [at - first for at, _ in tasks], [service for _, service in tasks])


def _tasks(rows: Iterable[list[str]], name: str) -> Iterable[tuple[float, float]]:
    header = True  # may come
    for number, row in enumerate(rows, 1):
        if not any(cell.strip() for cell in row):
            continue
        if len(row) < 2:
            raise TraceError(f"{name}, line {number}: wants an arrival time and service seconds, separated by a comma")
        try:
            at, service = _time(row[0]), float(row[1])
        except ValueError:
            if header:
                header = False
                continue
            raise TraceError(
                f"{name}, line {number}: {row[0]!r}, {row[1]!r} is no arrival time (seconds or ISO 8601) "
                "and service seconds"
            ) from None
        header = False
        if not 0 <= service <= LONGEST or not math.isfinite(at):
            raise TraceError(
                f"{name}, line {number}: a service time is seconds, 0 to {LONGEST:.0f}, and both are finite"
            )
        if abs(at) >= LATEST:
            raise TraceError(f"{name}, line {number}: {row[0]!r} is far from now: arrival times are seconds")
        yield at, service


def _time(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return datetime.fromisoformat(text.strip()).timestamp()

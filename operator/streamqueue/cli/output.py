"""Printing: tables for people, json and yaml for programs, names for pipes."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import click
import yaml
from rich.cells import cell_len

Record = Mapping[str, Any]

GAP = "   "


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table; `wide` ones show with `-o wide` alone."""

    title: str
    cell: Callable[[Record], object]
    wide: bool = False


def show(
    records: Sequence[Record], columns: Sequence[Column], output: str, name: str, nothing: str = "Nothing."
) -> None:
    """Print `records` as `output` says; `name` is the field that `-o name` prints, `nothing` what people read."""
    if output in ("json", "yaml"):
        document(list(records), output)
    elif output == "name":
        for record in records:
            click.echo(printable(record[name]))
    elif records:
        click.echo("\n".join(table(records, [each for each in columns if output == "wide" or not each.wide])))
    else:
        click.echo(nothing, err=True)


def show_one(record: Record, columns: Sequence[Column], output: str, name: str) -> None:
    """As `show`, of what somebody asked for by itself: a document is its own, no list."""
    if output in ("json", "yaml"):
        document(record, output)
    else:
        show([record], columns, output, name)


def show_first(
    count: int, records: Sequence[Record], columns: Sequence[Column], output: str, name: str, nothing: str
) -> None:
    """At most `count` of them, as `show` does; whatever the output, people are told where there are more."""
    show(records[:count], columns, output, name, nothing)
    if len(records) > count:
        click.echo(f"Only the first {count} are listed: -c lists more", err=True)


def document(value: object, output: str) -> None:
    """One JSON or YAML document."""
    if output == "yaml":
        click.echo(yaml.safe_dump(value, sort_keys=False, allow_unicode=True), nl=False)
    else:
        lines = json.dumps(value, indent=2, ensure_ascii=False).split("\n")
        click.echo("\n".join(line if line.isprintable() else _in_json(line) for line in lines))


def _in_json(line: str) -> str:
    """What is not printable stands in strings alone, and as JSON escapes it."""
    return "".join(each if each.isprintable() else json.dumps(each)[1:-1] for each in line)


def table(records: Sequence[Record], columns: Sequence[Column]) -> list[str]:
    """Lines with aligned columns, header first. Never cut: a pipe has no width."""
    rows = [[column.title for column in columns]]
    rows += [[printable(column.cell(record)) for column in columns] for record in records]
    widths = [max(cell_len(row[i]) for row in rows) for i in range(len(columns))]
    return [GAP.join(map(_filled, row, widths)).rstrip() for row in rows]


def _filled(cell: str, width: int) -> str:
    return cell + " " * (width - cell_len(cell))


def printable(value: object) -> str:
    """One line that moves no cursor: what producers wrote must not steer a terminal. None shows as `-`."""
    if value is None:
        return "-"
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in str(value))


def text(raw: bytes) -> str:
    """Bytes from Redis as text; what is no UTF-8 shows escaped."""
    return raw.decode("utf-8", "backslashreplace")


def counted(count: int, one: str, many: str) -> str:
    """`1 entry`, `2 entries`."""
    return f"{count} {one if count == 1 else many}"


def shorten(value: str, width: int) -> str:
    return value if len(value) <= width else value[: width - 1] + "…"


def age(seconds: float | None) -> str | None:
    """Two units at most, as kubectl prints ages: 45s, 12m30s, 3h5m, 4d2h."""
    if seconds is None:
        return None
    if seconds < 1:
        return f"{max(seconds, 0) * 1000:.0f}ms"
    total = int(seconds)
    units = [("d", total // 86400), ("h", total // 3600 % 24), ("m", total // 60 % 60), ("s", total % 60)]
    while not units[0][1]:
        units.pop(0)
    return "".join(f"{count}{unit}" for unit, count in units[:2] if count)


def paint(value: str, colour: str) -> str:
    """Coloured where NO_COLOR is not set; click strips colours from what is no terminal."""
    return value if os.environ.get("NO_COLOR") else click.style(value, fg=colour)

"""A look at entries: nothing is delivered, nothing changes."""

from __future__ import annotations

import asyncio
from typing import Any

import click

from streamqueue.cli.moments import entry_time, parse_moment
from streamqueue.cli.options import Selection, only_queue, output_option, queue_argument, queue_options
from streamqueue.cli.output import Column, shorten, show_first, text
from streamqueue.cli.target import open_target
from streamqueue.streams.entries import Entry, read_entries
from streamqueue.streams.entry_ids import successor

_WIDTH = 100  # of the fields in a table

COLUMNS = (
    Column("ENTRY", lambda row: row["entry"]),
    Column("ADDED", lambda row: row["added"]),
    Column("FIELDS", lambda row: shorten(_fields(row), _WIDTH)),
    Column("TASK", lambda row: row["task"], wide=True),
)


@click.command(short_help="The tasks that wait to be delivered, the next one first.")
@queue_argument()
@click.option("-c", "--count", type=click.IntRange(1, 10_000), default=10, show_default=True, help="How many.")
@click.option("--from", "start", metavar="WHEN", help="From this id, time, or duration ago, delivered or not.")
@click.option("--newest", is_flag=True, help="The newest first, delivered or not.")
@queue_options
@output_option
def peek(
    selection: Selection, words: tuple[str, ...], count: int, start: str | None, newest: bool, output: str
) -> None:
    """The tasks of QUEUE that wait to be delivered, the next one first."""
    chosen = only_queue(selection, words, reads=not (newest or start))
    entries = asyncio.run(_peek(chosen, count + 1, start, newest))
    nothing = "No entries." if newest or start else "No task waits."
    show_first(count, [record(entry) for entry in entries], COLUMNS, output, "entry", nothing)


def record(entry: Entry) -> dict[str, Any]:
    """An entry for printing."""
    fields = {text(name): text(value) for name, value in entry.fields.items()}
    return {"entry": entry.id, "task": entry.task, "added": entry_time(entry.id), "fields": fields}


def _fields(row: Any) -> str:
    """The producer's own first: the line may be cut."""
    fields = sorted(row["fields"].items(), key=lambda field: field[0].startswith("sq-"))
    return " ".join(f"{name}={value}" for name, value in fields)


async def _peek(selection: Selection, count: int, start: str | None, newest: bool) -> list[Entry]:
    async with open_target(selection) as target:
        found = await target.snapshot(of_group=not (newest or start))
        if start is not None:
            first = parse_moment(start, found.time, "--from")
        else:
            first = "-" if newest else successor(found.last_delivered_id or "0-0")
        return await read_entries(target.client, target.spec.stream, first, count=count, newest=newest)

"""The pending entries list."""

from __future__ import annotations

import asyncio
from typing import Any

import click

from streamqueue.api.keys import Keys
from streamqueue.cli.errors import BadInput
from streamqueue.cli.following.gather import charged
from streamqueue.cli.options import SECONDS, Selection, only_queue, output_option, queue_argument, queue_options
from streamqueue.cli.output import Column, age, show_first
from streamqueue.cli.target import Target, open_target
from streamqueue.streams.entries import Entry, read_headers
from streamqueue.streams.pending_entries import PendingEntry, pending_entries
from streamqueue.streams.tasks import PARKED

COLUMNS = (
    Column("ENTRY", lambda row: row["entry"]),
    Column("CONSUMER", lambda row: row["consumer"]),
    Column("IDLE", lambda row: age(row["idleSeconds"])),
    Column("ATTEMPT", lambda row: row["attempt"]),
    Column("DELIVERIES", lambda row: row["deliveries"], wide=True),
    Column("TASK", lambda row: row["task"], wide=True),
    Column("NOTE", lambda row: row["note"]),
)


@click.command(short_help="The pending tasks: delivered, not acknowledged.")
@queue_argument()
@click.option("-c", "--count", type=click.IntRange(1, 100_000), default=50, show_default=True, help="At most so many.")
@click.option("--consumer", metavar="NAME", help="Only what this consumer holds.")
@click.option("--idle", type=SECONDS, help="Only what was delivered longer ago than this.")
@queue_options
@output_option
def pending(
    selection: Selection, words: tuple[str, ...], count: int, consumer: str | None, idle: float | None, output: str
) -> None:
    """The tasks of QUEUE that were delivered and not acknowledged, by entry id."""
    if consumer == "":  # which Redis would take for none
        raise BadInput("--consumer is empty: leave it out, or name one")
    rows = asyncio.run(_pending(only_queue(selection, words), count + 1, consumer, idle or 0.0))
    nothing = "No such task is pending." if consumer or idle is not None else "No task is pending."
    show_first(count, rows, COLUMNS, output, "entry", nothing)


async def _pending(selection: Selection, count: int, consumer: str | None, least: float) -> list[dict[str, Any]]:
    async with open_target(selection) as target:
        await target.snapshot()  # names what is missing
        held = await _held(target, count, consumer, least)
        return [await _record(target, each) for each in held]


async def _held(target: Target, count: int, consumer: str | None, least: float) -> list[PendingEntry]:
    spec, min_idle = target.spec, int(least * 1000)
    found: list[PendingEntry] = []
    async for page in pending_entries(
        target.client, spec.stream, spec.group, min_idle=min_idle, consumer=consumer or ""
    ):
        found += page
        if len(found) >= count:
            break
    return found[:count]


async def _header(target: Target, entry_id: str) -> Entry | None:
    """The entry's own fields; None where its payload is gone."""
    rows, _ = await read_headers(target.client, target.spec.stream, entry_id, entry_id, count=1)
    return rows[0] if rows else None


async def _attempt(target: Target, entry: Entry) -> int:
    """Which attempt this is: those charged already, plus one."""
    return 1 + entry.attempts + await charged(target.client, Keys(target.spec.stream, target.spec.group), entry.id)


async def _record(target: Target, held: PendingEntry) -> dict[str, Any]:
    entry = await _header(target, held.id)
    again = target.selection.again
    note = "" if entry else f"payload gone: streamqueue reclaim {again}"
    return {
        "entry": held.id,
        "task": entry.task if entry else None,
        "consumer": held.consumer_text,
        "idleSeconds": held.idle / 1000,
        "attempt": await _attempt(target, entry) if entry else None,
        "deliveries": held.deliveries,
        "note": "waits for its retry" if held.consumer_text == PARKED else note,
    }

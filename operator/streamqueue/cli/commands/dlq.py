"""The group's dead letters."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from shlex import quote
from typing import Any

import click

from streamqueue.api.keys import Keys
from streamqueue.cli.commands.peek import record as entry_record
from streamqueue.cli.copying import goal_of, into_option, reaches_others
from streamqueue.cli.errors import BadInput, Failure
from streamqueue.cli.letters import Wanted, choosing, died_at
from streamqueue.cli.moments import utc_time
from streamqueue.cli.options import (
    Selection,
    document_option,
    dry_run_option,
    only_queue,
    output_option,
    queue_argument,
    queue_options,
    rate_option,
)
from streamqueue.cli.output import Column, age, document, printable, shorten, show_first
from streamqueue.cli.progress import Pace, progress
from streamqueue.cli.target import Target, open_target
from streamqueue.maintenance import WouldReachOthers, letters, purge, redrive
from streamqueue.streams.entries import Entry, read_entries
from streamqueue.streams.server import clock_of

_WIDTH = 80  # of the cause in a table
_TIMES = ("sq-enqueued-at", "sq-delivered-at", "sq-dead-at")  # ms since 1970

COLUMNS = (
    Column("LETTER", lambda row: row["letter"]),
    Column("TASK", lambda row: row["task"]),
    Column("DIED", lambda row: age(row["deadSeconds"])),
    Column("ATTEMPTS", lambda row: row["attempts"]),
    Column("REASON", lambda row: row["reason"]),
    Column("CAUSE", lambda row: row["cause"] and shorten(row["cause"], _WIDTH)),
    Column("CONSUMER", lambda row: row["consumer"], wide=True),
    Column("DELIVERIES", lambda row: row["deliveries"], wide=True),
)


@click.group()
def dlq() -> None:
    """Dead letters: list, show, put back, remove."""


@dlq.command("ls")
@queue_argument()
@click.option("-c", "--count", type=click.IntRange(1), default=100, show_default=True, help="At most so many.")
@choosing
@queue_options
@output_option
def ls(
    selection: Selection,
    words: tuple[str, ...],
    count: int,
    wanted: Wanted,
    output: str,
) -> None:
    """List QUEUE's dead letters, oldest first."""
    rows = asyncio.run(_ls(only_queue(selection, words), wanted, count + 1))
    nothing = "No dead letters." if wanted.everything else "No such dead letters."
    show_first(count, rows, COLUMNS, output, "letter", nothing)


@dlq.command("show")
@queue_argument("[QUEUE] ID")
@queue_options
@document_option
def show_one(selection: Selection, words: tuple[str, ...], output: str) -> None:
    """Print one dead letter whole: ID is the letter's or the task's."""
    chosen, rest = selection.take_queue(words)
    if len(rest) != 1:
        raise BadInput("name one letter: its id, or its task's")
    found = asyncio.run(_show(chosen, rest[0]))
    if output in ("json", "yaml"):
        document(found, output)
        return
    for name, value in found["fields"].items():
        click.echo(f"{printable(name)}: {printable(value)}{_when(name, value)}")


def _when(name: str, value: str) -> str:
    """Of a field of ours that is a time, in words."""
    found = utc_time(int(value) / 1000) if name in _TIMES and len(value) < 20 and value.isdecimal() else None
    return f" ({found})" if found else ""


@dlq.command("redrive", short_help="Put dead letters back to work, their attempts at zero.")
@queue_argument()
@choosing
@into_option
@rate_option
@queue_options
@dry_run_option
def redrive_letters(
    selection: Selection,
    words: tuple[str, ...],
    wanted: Wanted,
    into: str,
    rate: float | None,
    dry_run: bool,
) -> None:
    """Put QUEUE's dead letters back to work, their attempts at zero: all, or those that the options choose."""
    chosen = only_queue(selection, words)
    asyncio.run(_redrive(chosen, wanted, into, rate, dry_run))


@dlq.command("purge", short_help="Remove dead letters for good: those that the options choose.")
@queue_argument()
@choosing
@click.option("--all", "everything", is_flag=True, help="All of them; with no other option that chooses.")
@rate_option
@queue_options
@dry_run_option
def purge_letters(
    selection: Selection,
    words: tuple[str, ...],
    wanted: Wanted,
    everything: bool,
    rate: float | None,
    dry_run: bool,
) -> None:
    """Remove QUEUE's dead letters for good: those that the options choose."""
    chosen = only_queue(selection, words)
    if wanted.everything != everything:
        raise BadInput("choose letters by --id, --task, --reason or --older-than, or give --all by itself")
    asyncio.run(_purge(chosen, wanted, rate, dry_run))


async def _matching(target: Target, wanted: Wanted, now: float) -> list[Entry]:
    pages = letters(target.client, target.spec)
    return [letter async for page in pages for letter in page if wanted.takes(letter, now)]


async def _chosen(target: Target, wanted: Wanted, now: float) -> list[Entry]:
    found = await _matching(target, wanted, now)
    if not found:
        await target.snapshot()  # names what is missing
    return found


async def _ids(target: Target, wanted: Wanted) -> list[str]:
    return [letter.id for letter in await _chosen(target, wanted, await clock_of(target.client))]


async def _ls(selection: Selection, wanted: Wanted, count: int) -> list[dict[str, Any]]:
    async with open_target(selection) as target:
        now = await clock_of(target.client)
        return [_record(letter, now) for letter in (await _chosen(target, wanted, now))[:count]]


def _record(letter: Entry, now: float) -> dict[str, Any]:
    return {
        "letter": letter.id,
        "task": letter.task,
        "deadSeconds": now - died_at(letter),
        "attempts": letter.field("sq-attempt"),
        "deliveries": letter.field("sq-deliveries"),
        "reason": letter.field("sq-reason"),
        "cause": letter.field("sq-cause"),
        "consumer": letter.field("sq-consumer"),
        "entry": letter.field("sq-entry"),
    }


async def _show(selection: Selection, wanted: str) -> dict[str, Any]:
    async with open_target(selection) as target:
        chosen = frozenset({wanted})
        now = await clock_of(target.client)
        found = await _matching(target, Wanted(ids=chosen), now) or await _matching(target, Wanted(tasks=chosen), now)
        if not found:
            await target.snapshot()
            look = f"streamqueue explain {selection.again} {quote(wanted)}"
            raise Failure(f"no dead letter and no dead task has the id {wanted}: {look}")
        key = Keys(target.spec.stream, target.spec.group).dlq
        (entry,) = await read_entries(target.client, key, found[-1].id, found[-1].id, count=1)
        return entry_record(entry)


async def _redrive(selection: Selection, wanted: Wanted, into: str, rate: float | None, dry_run: bool) -> None:
    async with open_target(selection) as target:
        goal = await goal_of(target, into)
        ids = await _ids(target, wanted)
        if dry_run:
            click.echo(f"{len(ids)} dead letter(s) would go into {goal} (dry run)")
            return
        done = 0
        try:
            async for step in _steps("redriving", ids, rate):
                done += await redrive(target.client, target.spec, step, into=into)
        except WouldReachOthers:
            raise Failure(f"{done} redriven; {reaches_others(goal)}") from None
    click.echo(f"{done} dead letter(s) went into {goal}")


async def _purge(selection: Selection, wanted: Wanted, rate: float | None, dry_run: bool) -> None:
    async with open_target(selection) as target:
        ids = await _ids(target, wanted)
        if dry_run:
            click.echo(f"{len(ids)} dead letter(s) would be removed (dry run)")
            return
        done = sum([await purge(target.client, target.spec, step) async for step in _steps("purging", ids, rate)])
    click.echo(f"{done} dead letter(s) removed")


async def _steps(label: str, ids: list[str], rate: float | None) -> AsyncIterator[list[str]]:
    """A few ids at a time, at the pace that was asked for, with a bar."""
    pace = Pace(rate)
    with progress(label, len(ids)) as advance:
        for start in range(0, len(ids), pace.step):
            step = ids[start : start + pace.step]
            await pace.wait(len(step))
            yield step
            advance(len(step))

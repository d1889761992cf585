"""Queues, live."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any

import click
from rich.console import Console
from rich.live import Live
from rich.table import Table

from streamqueue.cli.cluster import open_cluster
from streamqueue.cli.commands.status import lag, summary
from streamqueue.cli.live import LOOK, add_row, look_cells, new_table
from streamqueue.cli.options import Finite, Selection, only_queue, queue_argument, queue_options
from streamqueue.cli.output import age
from streamqueue.cli.target import open_target
from streamqueue.streams import Snapshot

_QUEUES = ("NAME", "READY", "LAG", "PENDING", "OLDEST", "DLQ", "REPLICAS", "REASON", "MESSAGE")
_KEPT = 20  # lines of one queue's history


@click.command(short_help="All queues, live; or one of them, look by look.")
@queue_argument()
@click.option("--interval", type=Finite(0.2), default=2.0, show_default=True, help="Seconds between looks.")
@click.option("--looks", type=click.IntRange(1), metavar="N", help="End after N looks, instead of at Ctrl-C.")
@queue_options
def top(selection: Selection, words: tuple[str, ...], interval: float, looks: int | None) -> None:
    """All queues of the namespace, live; with QUEUE, that one's numbers straight from Redis, look by look."""
    one, redrawn = bool(words) or selection.straight, Console().is_terminal
    tables = _one(only_queue(selection, words), _KEPT if redrawn else 1) if one else _all(selection)
    asyncio.run(_run(tables, interval, looks) if redrawn else _print(tables, interval, looks))


async def _run(tables: AsyncGenerator[Table, None], interval: float, looks: int | None) -> None:
    with Live(auto_refresh=False) as live:
        await _update(lambda table: live.update(table, refresh=True), tables, interval, looks)


async def _print(tables: AsyncGenerator[Table, None], interval: float, looks: int | None) -> None:
    """To what is no terminal: one after another."""
    await _update(Console(width=200).print, tables, interval, looks)


async def _update(
    show: Callable[[Table], None], tables: AsyncGenerator[Table, None], interval: float, looks: int | None
) -> None:
    shown = 0
    async with aclosing(tables):
        async for table in tables:
            show(table)
            shown += 1
            if shown == looks:
                return
            await asyncio.sleep(interval)


async def _all(selection: Selection) -> AsyncGenerator[Table, None]:
    async with open_cluster(selection) as cluster:
        while True:
            rows = [summary(body, time.time()) for body in await cluster.queues()]
            table = new_table(_QUEUES, f"namespace {cluster.namespace}")
            for row in sorted(rows, key=lambda row: (-(row["lag"] or 0), row["name"])):
                add_row(table, *_cells(row), style=None if row["ready"] == "True" else "red")
            yield table


def _cells(row: dict[str, Any]) -> tuple[object, ...]:
    counters = (lag(row), row["pending"], age(row["oldestWaitingSeconds"]), row["deadLetters"])
    return (row["name"], row["ready"], *counters, row["replicas"], row["reason"], row["message"])


async def _one(selection: Selection, kept: int) -> AsyncGenerator[Table, None]:
    async with open_target(selection) as target:
        lines: list[tuple[object, ...]] = []
        before: Snapshot | None = None
        while True:
            now = await target.snapshot()
            lines = [*lines, look_cells(before, now)][-kept:]
            table = new_table(LOOK, selection.label)
            for line in lines:
                add_row(table, *line)
            yield table
            before = now

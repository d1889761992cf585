"""Tables that are redrawn: one queue, look by look."""

from __future__ import annotations

import time

from rich.markup import escape
from rich.table import Table
from rich.text import Text

from streamqueue.cli.output import age, printable
from streamqueue.streams import Snapshot

LOOK = ("TIME", "WAITING", "PENDING", "OLDEST", "IN/s", "READ/s", "DLQ", "CONSUMERS", "BUSY")


def look_cells(before: Snapshot | None, now: Snapshot) -> tuple[object, ...]:
    """The cells of LOOK; rates are since `before`."""
    added = _rate(before.entries_added if before else None, now.entries_added, before, now)
    read = _rate(before.entries_read if before else None, now.entries_read, before, now)
    waiting = f"{'' if now.lag_known else '>='}{now.undelivered}"
    busy = sum(1 for view in now.consumers if view.pending)
    clock = time.strftime("%H:%M:%S", time.localtime(now.time))
    oldest = age(now.oldest_waiting_age)
    return clock, waiting, now.pending, oldest, added, read, now.dead_letters, now.consumers_total, busy


def _rate(old: int | None, new: int | None, before: Snapshot | None, now: Snapshot) -> str | None:
    """Per second; None where the server doesn't count, or at the first look."""
    if old is None or new is None or before is None or now.time <= before.time:
        return None
    return f"{(new - old) / (now.time - before.time):.1f}"


def new_table(titles: tuple[str, ...], title: str) -> Table:
    """The last column gives way where the width doesn't do."""
    table = Table(box=None, title=escape(printable(title)), title_justify="left", pad_edge=False)
    for name in titles:
        table.add_column(name, no_wrap=name != titles[-1], overflow="ellipsis")
    return table


def add_row(table: Table, *cells: object, style: str | None = None) -> None:
    table.add_row(*(Text(printable(cell), no_wrap=True, overflow="ellipsis") for cell in cells), style=style)

"""What `dev` shows: the looks in a table that is redrawn, and what the workers write above it."""

from __future__ import annotations

from shlex import quote
from types import TracebackType

import click
from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from streamqueue.cli.live import LOOK, add_row, look_cells, new_table
from streamqueue.cli.manifest import Manifest
from streamqueue.cli.output import counted, printable
from streamqueue.local.run import Look
from streamqueue.streams import Snapshot

KEPT = 12  # looks in the table
_SHARED = LOOK.index("CONSUMERS")  # it and what follows is for fleets that others run: 80 columns hold no more
_TITLES = (*LOOK[:_SHARED], "WORKERS", "REASON")


class View:
    """On a terminal a table; elsewhere a line for each change. `url` of a server of our own: producers need it."""

    def __init__(self, queue: Manifest, url: str) -> None:
        self._queue, self._url = queue, url
        self._console = Console(highlight=False, soft_wrap=True)
        self._live = Live(console=self._console, auto_refresh=False)
        self._rows: list[tuple[object, ...]] = []
        self._before: Snapshot | None = None
        self._said = ""

    def __enter__(self) -> View:
        spec = self._queue.spec
        if self._url:
            where = f"--redis {self._url} --stream {quote(spec.stream)} --group {quote(spec.group)}"
            click.echo(
                f"Redis for this run: {self._url} (keeps nothing)\nAdd a task: streamqueue send {where} FIELD=VALUE"
            )
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live.is_started:
            self._live.stop()

    def say(self, worker: str, text: str) -> None:
        """A line of a worker."""
        self._console.print(Text(f"{worker} | {printable(text)}"))

    def leave(self, workers: int) -> None:
        """Somebody wants to end."""
        if workers:
            self._console.print(f"Stopping {counted(workers, 'worker', 'workers')}; Ctrl-C again ends them at once.")

    def show(self, look: Look) -> None:
        """One round."""
        if look.returned:
            tasks = counted(look.returned, "task", "tasks")
            self._console.print(f"{tasks} of dead or failed workers: back at work, or dead letters")
        sentence = look.trouble or look.decision.sentence
        change = f"{look.decision.reason} {look.decision.replicas}" if look.snapshot else look.trouble
        if not self._live.is_started:
            if change != self._said:
                self._said = change
                self._console.print(Text(f"{look.decision.reason}: {sentence}"))
            return
        if look.snapshot:
            cells = look_cells(self._before, look.snapshot)
            workers = f"{look.ready}/{look.decision.replicas}"
            self._rows = [*self._rows, (*cells[:_SHARED], workers, look.decision.reason)][-KEPT:]
            self._before = look.snapshot
        self._live.update(self._table(sentence), refresh=True)

    def _table(self, sentence: str) -> Table:
        table = new_table(_TITLES, self._queue.name)
        for row in self._rows:
            add_row(table, *row)
        table.caption = escape(printable(sentence))
        table.caption_justify = "left"
        return table

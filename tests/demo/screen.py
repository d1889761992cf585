"""Shows the run: a live table in a terminal, a line every five seconds anywhere else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from tests.demo.sample import Sample, sparkline

LINE_INTERVAL = 5.0  # seconds


class Screen:
    def __init__(self, console: Console) -> None:
        self._console = console
        self._samples: list[Sample] = []
        self._notes: list[str] = []
        self._live: Live | None = None
        self._printed = -LINE_INTERVAL

    @contextmanager
    def open(self) -> Iterator[Callable[[Sample], None]]:
        """Yields the function that takes each new sample."""
        if not self._console.is_terminal:
            yield self._print
            return
        with Live(console=self._console, refresh_per_second=4) as self._live:
            yield self._draw
        self._live = None

    def note(self, text: str) -> None:
        """Something happened."""
        self._notes.append(text)
        if self._live is None:
            self._console.print(text, soft_wrap=True)

    def _print(self, sample: Sample) -> None:
        if sample.at - self._printed >= LINE_INTERVAL:
            self._printed = sample.at
            self._console.print(sample.line(), soft_wrap=True)

    def _draw(self, sample: Sample) -> None:
        self._samples.append(sample)
        if self._live:
            self._live.update(self._picture(sample))

    def _picture(self, now: Sample) -> Group:
        width = max(10, min(60, self._console.width - 30))
        table = Table(box=None, show_header=False)
        table.add_row("time", f"{now.at:.0f} s", "")
        table.add_row("waiting", str(now.waiting), self._history("waiting", width))
        table.add_row("pending", str(now.pending), self._history("pending", width))
        table.add_row("replicas", f"{now.ready}/{now.replicas}", self._history("replicas", width))
        table.add_row("oldest", f"{now.oldest:.1f} s", "")
        table.add_row("done", f"{now.done} of {now.added}", "")
        return Group(table, *(Text(note, style="yellow") for note in self._notes))

    def _history(self, name: str, width: int) -> str:
        return sparkline([getattr(sample, name) for sample in self._samples], width)

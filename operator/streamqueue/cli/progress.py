"""Long work: a bar on standard error where that is a terminal, and a bound on the rate."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

STEP = 100  # entries per call of Redis, at most


@contextmanager
def progress(label: str, total: int | None, *, beside_lines: bool = False) -> Iterator[Callable[[int], None]]:
    """Yields a function that takes how many more are done. `total` None: nobody knows.

    `beside_lines`: what is done is printed, a line each; where a terminal shows those a bar would stand in their way.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    hidden = not sys.stderr.isatty() or (beside_lines and sys.stdout.isatty())
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=hidden) as bar:
        task = bar.add_task(label, total=total)
        yield lambda count: bar.advance(task, count)


class Pace:
    """Keeps work at or below `rate` a second; None is as fast as it goes."""

    def __init__(self, rate: float | None) -> None:
        self._rate = rate
        self._next = time.monotonic()

    @property
    def step(self) -> int:
        """How many to do at once, so that a slow rate doesn't come in bursts."""
        return STEP if self._rate is None else max(1, min(STEP, int(self._rate / 10)))

    async def wait(self, count: int) -> None:
        """Before doing `count` more."""
        if self._rate is None:
            return
        await asyncio.sleep(max(0.0, self._next - time.monotonic()))
        self._next = max(self._next, time.monotonic()) + count / self._rate

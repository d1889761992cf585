"""What this process has in its hands: running, ended but not yet settled, and waiting to run alone."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Sequence

from streamqueue.streams.tasks import Entry, Settlement
from streamqueue.worker.context import Context


class Run:
    """An entry in this process's hands. `deadline` is unix seconds, `on_progress` is called when there is some."""

    task: asyncio.Task[None] | None = None
    started = 0.0  # loop time
    is_late = False  # past the handler's timeout
    is_over = False  # settled, handed back or lost: what the handler still does changes nothing
    progress_sent = ""
    _ctx: Context | None = None

    def __init__(self, entry: Entry, deadline: float, on_progress: Callable[[], None]) -> None:
        self.entry = entry
        self._deadline = deadline
        self._on_progress = on_progress

    @property
    def id(self) -> str:
        return self.entry.id

    @property
    def ctx(self) -> Context:
        """Made when it is asked for: a batch of small tasks may never ask."""
        if self._ctx is None:
            self._ctx = Context(self.entry, self._deadline, self._on_progress)
        return self._ctx

    @property
    def has_emitted(self) -> bool:
        return self._ctx is not None and bool(self._ctx.emits)

    def cancel(self) -> None:
        """Stop the handler; one in a thread is told by `ctx.cancelled`."""
        self.ctx.cancelled = True
        if self.task:
            self.task.cancel()


Ended = tuple[Run, Settlement]


class Runs:
    """Pure bookkeeping over `slots`."""

    def __init__(self, slots: int) -> None:
        self._slots = slots
        self.executing: set[Run] = set()
        self.ended: list[Ended] = []
        # An entry whose run killed a worker runs with no other task beside it.
        self.alone: deque[Run] = deque()
        self._exclusive: Run | None = None

    def free(self, stuck_threads: int) -> int:
        """How many entries may be taken now."""
        if self.alone or self._exclusive:
            return 0
        return max(0, self._slots - len(self.executing) - stuck_threads)

    def add(self, runs: list[Run]) -> list[Run]:
        """Those that may begin now; the others wait to run alone."""
        crashed = [run for run in runs if run.entry.crashes]
        if crashed and self._slots > 1:
            self.alone += crashed
            runs = [run for run in runs if not run.entry.crashes]
        self.executing.update(runs)
        return runs

    def next_alone(self) -> Run | None:
        """The next entry that must run alone, once nothing else runs."""
        if not self.alone or self.executing:
            return None
        self._exclusive = run = self.alone.popleft()
        self.executing.add(run)
        return run

    def end(self, ended: Sequence[Ended]) -> None:
        """Over with these; their leases are kept until Redis has confirmed the settlements."""
        self.drop([run for run, _ in ended])
        self.ended += ended

    def drop(self, runs: Sequence[Run]) -> None:
        for run in runs:
            run.is_over = True
        self.executing.difference_update(runs)
        if self.alone:
            self.alone = deque(run for run in self.alone if not run.is_over)
        if self._exclusive and self._exclusive.is_over:
            self._exclusive = None

    def held(self) -> Iterator[Run]:
        """All whose lease must be renewed."""
        yield from self.executing
        yield from self.alone
        yield from (run for run, _ in self.ended)

    def __bool__(self) -> bool:
        return bool(self.executing or self.ended or self.alone)

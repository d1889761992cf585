"""Runs that share a call of the handler; one call at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from streamqueue.worker.executors.slots import Slots
from streamqueue.worker.executors.threads import Threads
from streamqueue.worker.runs import Bundle, Run


class Batch:
    task: asyncio.Task[None] | None = None
    started = 0.0  # loop time
    is_late = False  # past the handler's timeout

    def __init__(self, runs: Sequence[Run]) -> None:
        self.runs = runs

    @property
    def whole(self) -> Bundle | None:
        """All of it, if nothing has happened to one of its tasks alone."""
        return self.runs if isinstance(self.runs, Bundle) and self.runs.is_whole else None

    @property
    def is_over(self) -> bool:
        """No task of it is this worker's any more."""
        return self.whole is None and all(run.is_over for run in self.runs)

    def cancel(self) -> None:
        """Stop the call; one in a thread is told by `ctx.cancelled`."""
        for run in self.runs:
            run.cancel()
        if self.task:
            self.task.cancel()


class Batches:
    """`begin(runs)` puts them into the next call; `start()` makes that call, unless one is going on.

    `execute(batch)` is awaited for each, then `on_free()` called. A call has `timeout` seconds, and `most` tasks;
    `give_up(batch)` is called for one that goes on after its time.
    """

    are_whole = True

    def __init__(
        self,
        execute: Callable[[Batch], Awaitable[None]],
        timeout: float,
        threads: Threads,
        most: int,
        on_free: Callable[[], None],
        give_up: Callable[[Batch], None] = lambda _: None,
    ) -> None:
        self._execute = execute
        self._threads = threads
        self._most = most
        self._on_free = on_free
        self._slots = Slots(self._run, timeout, give_up)
        self.failed = self._slots.failed
        self._next: Sequence[Run] = ()
        self._current: Batch | None = None

    @property
    def blocked(self) -> int:
        """All slots, while a call is going on: what is taken must be able to start."""
        return self._most if self._current or self._threads.overdue else 0

    @property
    def is_stuck(self) -> bool:
        return self._threads.overdue + self._slots.overdue > 0

    def begin(self, runs: Sequence[Run]) -> None:
        self._next = [*self._next, *runs] if self._next else runs

    def start(self) -> None:
        if self._next and self._current is None:
            batch, self._next = Batch(self._next), ()
            if not batch.is_over:  # its leases may have been lost on the way
                self._current = batch
                self._slots.begin(batch)

    def cancel(self, run: Run) -> None:
        """`run` is over. The others of its call go on."""
        run.cancel()
        batch = self._current
        if batch and batch.is_over:
            batch.cancel()
            if not batch.task:
                self._current = None  # it will never begin

    def close(self) -> None:
        self._slots.close()

    async def _run(self, batch: Batch) -> None:
        try:
            await self._execute(batch)
        finally:
            self._current = None
            self._on_free()

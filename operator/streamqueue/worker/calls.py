"""How runs become calls of the handler: one each, or many in one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

from streamqueue.worker.batch.batches import Batches
from streamqueue.worker.batch.execution import BatchExecution
from streamqueue.worker.batch.handler import BatchHandler
from streamqueue.worker.execution import Execution
from streamqueue.worker.executors.slots import Slots
from streamqueue.worker.executors.threads import Threads
from streamqueue.worker.handler import Handler
from streamqueue.worker.metrics.exposition import Metrics
from streamqueue.worker.runs import Ended, Run
from streamqueue.worker.settings import Settings


class Calls(Protocol):
    are_whole: bool  # one call takes all runs, so that a `Bundle` need not be made into single ones
    failed: asyncio.Future[None]  # with the first error that is a bug of ours: its run would never be settled

    @property
    def blocked(self) -> int:
        """Slots in which nothing can begin now, although no run has them."""

    @property
    def is_stuck(self) -> bool:
        """Every slot is held by a handler that is past its timeout and does not end."""

    def begin(self, runs: Sequence[Run]) -> None:
        """Call the handler for each soon: after `start()` at the latest."""

    def start(self) -> None: ...

    def cancel(self, run: Run) -> None:
        """`run` is over: stop its call, unless others need it."""

    def close(self) -> None:
        """No more calls."""


class Singles:
    """A call for each run."""

    are_whole = False

    def __init__(self, slots: Slots[Run], threads: Threads, most: int) -> None:
        self._slots = slots
        self._threads = threads
        self._most = most
        self.close = slots.close
        self.failed = slots.failed

    @property
    def blocked(self) -> int:
        return self._threads.overdue + self._slots.overdue

    @property
    def is_stuck(self) -> bool:
        return self.blocked >= self._most

    def begin(self, runs: Sequence[Run]) -> None:
        for run in runs:
            self._slots.begin(run)

    def start(self) -> None:
        """Each has been started by its begin()."""

    def cancel(self, run: Run) -> None:
        run.cancel()


def calls_of(
    handler: Handler | BatchHandler,
    settings: Settings,
    metrics: Metrics,
    on_end: Callable[[Sequence[Ended]], None],
    on_done: Callable[[], None],
    on_free: Callable[[], None],
) -> Calls:
    """Calls of `handler`. `on_end` is told of runs that ended, `on_done` of a whole bundle that is done, `on_free` of
    slots that became free without one.
    """
    handler.threads.on_free = on_free
    if isinstance(handler, BatchHandler):
        together = BatchExecution(handler, settings, metrics, on_end, on_done)
        return Batches(together, handler.timeout, handler.threads, settings.concurrency, on_free, together.give_up)
    execution = Execution(handler, settings, metrics, on_end)
    slots = Slots(execution, handler.timeout, execution.give_up, on_free)
    return Singles(slots, handler.threads, settings.concurrency)

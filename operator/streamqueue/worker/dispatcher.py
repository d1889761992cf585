"""From entries to calls of the handler, and to runs that wait for their settlement."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence

from streamqueue.streams.taken import NewEntries, Taken
from streamqueue.worker.batch.handler import BatchHandler
from streamqueue.worker.calls import calls_of
from streamqueue.worker.handler import Handler
from streamqueue.worker.intake import STEP
from streamqueue.worker.metrics.exposition import Metrics
from streamqueue.worker.runs import Bundle, Ended, Run, Runs
from streamqueue.worker.settings import Settings
from streamqueue.worker.settling.outcome import RELEASED

PATIENCE = 5.0  # seconds that handlers in every slot, past their timeout, have to notice it and return


class Dispatcher:
    """`wake` is set when there is something to settle, or a slot is free again; `on_progress` is called, in any thread,
    when a handler says how far it is.
    """

    is_open = True  # what comes is begun; else it is handed back

    def __init__(
        self,
        handler: Handler | BatchHandler,
        settings: Settings,
        metrics: Metrics,
        wake: asyncio.Event,
        on_progress: Callable[[], None],
    ) -> None:
        self.runs = Runs(settings.concurrency)
        self._timeout = handler.timeout
        self._wake = wake
        self._on_progress = on_progress
        self._calls = calls_of(handler, settings, metrics, self._end, self._end_whole, wake.set)
        self._stuck_since: float | None = None  # loop time
        self.start, self.close, self.failed = self._calls.start, self._calls.close, self._calls.failed

    def free(self) -> int:
        """How many entries may be taken now."""
        return self.runs.free(self._calls.blocked) if self.is_open else 0

    def begin(self, entries: Sequence[Taken]) -> None:
        """After `start()` at the latest, and alone those of which a worker died."""
        if self.is_open:
            self._calls.begin(self.runs.add(self._runs_of(entries)))
        else:
            self.release(entries)

    def begin_new(self, new: NewEntries) -> None:
        if self._calls.are_whole and self.is_open and 0 < len(new) <= STEP:
            self._calls.begin(self.runs.add_whole(Bundle(new, self._runs_of)))
        else:
            self.begin(new.entries())

    def begin_alone(self) -> None:
        """The next that must run alone, once nothing else runs."""
        if self.is_open and (alone := self.runs.next_alone()):
            alone.begins(time.time() + self._timeout)
            self._calls.begin([alone])

    def release(self, entries: Sequence[Taken]) -> None:
        self.runs.end([(run, RELEASED) for run in self._runs_of(entries)])

    def hand_back(self, *, all_of_it: bool) -> None:
        """What has not begun, or all that has not ended. Others begin anew with it."""
        runs = [*self.runs.alone, *(self.runs.executing if all_of_it else ())]
        self.runs.end([(run, RELEASED) for run in runs])
        for run in runs:
            self._calls.cancel(run)

    def lose(self, run: Run) -> None:
        """Another worker has the task: its handler here is stopped."""
        run.ctx.logger.warning("the lease is lost; another worker has the task")
        self.runs.drop([run])
        self._calls.cancel(run)

    def must_return(self) -> None:
        """Raises RuntimeError when for `PATIENCE` every slot was held by a handler that is past its timeout."""
        loop = asyncio.get_running_loop()
        if not self._calls.is_stuck:
            self._stuck_since = None
        elif self._stuck_since is None:
            self._stuck_since = loop.time()
            loop.call_later(PATIENCE, self._wake.set)
        elif loop.time() - self._stuck_since >= PATIENCE:
            raise RuntimeError("every slot is held by a handler that is past its timeout and does not return")

    def _runs_of(self, entries: Iterable[Taken]) -> list[Run]:
        deadline = time.time() + self._timeout
        return [Run(entry, deadline, self._on_progress) for entry in entries]

    def _end(self, ended: Sequence[Ended]) -> None:
        self.runs.end(ended)
        self._wake.set()

    def _end_whole(self) -> None:
        self.runs.end_whole()
        self._wake.set()

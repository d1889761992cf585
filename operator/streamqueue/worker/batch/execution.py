"""One call of a batch handler, and what becomes of each of its tasks."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import NoneType
from typing import Any

from streamqueue.streams.settlement import ACKNOWLEDGED, Settlement
from streamqueue.worker.batch.batches import Batch
from streamqueue.worker.batch.handler import BatchHandler
from streamqueue.worker.batch.results import results_of
from streamqueue.worker.executors.forks import Process
from streamqueue.worker.handler import overtime
from streamqueue.worker.metrics.exposition import Metrics
from streamqueue.worker.runs import Ended, Run
from streamqueue.worker.settings import Settings
from streamqueue.worker.settling.outcome import INTERRUPTS, is_expected, meant, readable
from streamqueue.worker.settling.settler import Settler
from streamqueue.worker.tracing import hooks

log = logging.getLogger(__name__)


class BatchExecution:
    """`await execution(batch)` calls the handler, then `on_end` with each run and its settlement; not for a run that is
    over by then, since its lease was lost or it was handed back. `on_done` is called instead when all of a batch that
    is still whole is done.
    """

    def __init__(
        self,
        handler: BatchHandler,
        settings: Settings,
        metrics: Metrics,
        on_end: Callable[[Sequence[Ended]], None],
        on_done: Callable[[], None],
    ) -> None:
        self._handler = handler
        self._settings = settings
        self._metrics = metrics
        self._on_end = on_end
        self._on_done = on_done
        self._settler = Settler(settings)
        # Where no task can say anything but that it is done, none is asked.
        self._is_silent = not (handler.wants_contexts or self._settler.wants_results)
        self._process = Process()
        self._is_traced = hooks.is_recorded()

    async def __call__(self, batch: Batch) -> None:
        runs, tasks = self._decoded(batch)
        if not runs:
            return
        self._metrics.in_flight += len(runs)
        try:
            results = await self._results(runs, tasks)
        except INTERRUPTS:
            raise
        except BaseException as exc:
            late = batch.is_late and isinstance(exc, asyncio.CancelledError)
            results = self._all_failed(runs, overtime(self._handler.timeout) if late else exc)
        finally:
            self._metrics.ended(batch.started, len(runs))
        self._process.end_a_copy()
        is_silent = self._is_silent and set(map(type, results)) == {NoneType}
        if is_silent and batch.whole is not None:
            self._on_done()
        else:
            self._on_end(self._ended(runs, results, is_silent=is_silent))

    def give_up(self, batch: Batch) -> None:
        """Its time is up, and it goes on: its tasks are settled without it."""
        runs = [run for run in batch.runs if not run.is_over]
        self._on_end(self._ended(runs, self._all_failed(runs, overtime(self._handler.timeout)), is_silent=False))

    def _decoded(self, batch: Batch) -> tuple[Sequence[Run], list[Any]]:
        """A payload that does not fit fails alone."""
        if (whole := batch.whole) is not None:
            with suppress(Exception):
                return whole, self._handler.tasks_of_new(whole.new)
        runs = [run for run in batch.runs if not run.is_over]
        with suppress(Exception):
            return runs, self._handler.tasks_of([run.entry.fields for run in runs])
        fitting, tasks = [], []
        for run in runs:
            try:
                tasks += self._handler.tasks_of([run.entry.fields])
            except Exception as exc:
                self._on_end([(run, self._settler.failed(run.ctx, exc))])
            else:
                fitting.append(run)
        return fitting, tasks

    async def _results(self, runs: Sequence[Run], tasks: list[Any]) -> list[Any]:
        contexts = [run.ctx for run in runs] if self._handler.wants_contexts or self._is_traced else []
        # Both lists are the handler's now, which may use them up.
        if not self._is_traced:
            return results_of(await self._handler(tasks, contexts), len(runs))
        with hooks.processing_batch(self._settings.stream, self._settings.group, contexts) as results:
            results += results_of(await self._handler(tasks, contexts), len(runs))
            return results

    def _all_failed(self, runs: Sequence[Run], error: BaseException) -> list[Any]:
        """The traceback is logged once."""
        error = readable(meant(error))
        if not all(run.is_over for run in runs):
            log.warning("a batch of %d failed: %s", len(runs), error, exc_info=None if is_expected(error) else error)
        return [error] * len(runs)

    def _ended(self, runs: Sequence[Run], results: Sequence[Any], *, is_silent: bool) -> list[Ended]:
        if is_silent:
            return [(run, ACKNOWLEDGED) for run in runs if not run.is_over]
        pairs = zip(runs, results, strict=True)
        return [(run, self._settlement(run, result)) for run, result in pairs if not run.is_over]

    def _settlement(self, run: Run, result: Any) -> Settlement:
        if isinstance(result, BaseException):
            return self._settler.failed(run.ctx, result, traced=False)
        try:
            return self._settler.done(run, result)
        except Exception as exc:
            return self._settler.failed(run.ctx, exc)

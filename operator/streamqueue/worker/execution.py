"""One run of the handler, and what becomes of its task."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from streamqueue.streams.settlement import Settlement
from streamqueue.worker.executors.forks import Process
from streamqueue.worker.handler import Handler, overtime
from streamqueue.worker.metrics.exposition import Metrics
from streamqueue.worker.runs import Ended, Run
from streamqueue.worker.settings import Settings
from streamqueue.worker.settling.outcome import INTERRUPTS
from streamqueue.worker.settling.settler import Settler
from streamqueue.worker.tracing import hooks


class Execution:
    """`await execution(run)` runs the handler, then calls `on_end` with the run and its settlement; not for a run that
    is over by then, since its lease was lost or it was handed back.
    """

    def __init__(
        self, handler: Handler, settings: Settings, metrics: Metrics, on_end: Callable[[Sequence[Ended]], None]
    ) -> None:
        self._handler = handler
        self._settings = settings
        self._metrics = metrics
        self._on_end = on_end
        self._settler = Settler(settings)
        self._process = Process()
        self._is_traced = hooks.is_recorded()

    async def __call__(self, run: Run) -> None:
        ctx, settings = run.ctx, self._settings
        self._metrics.in_flight += 1
        try:
            if self._is_traced or ctx.trace:
                with hooks.processing(settings.stream, settings.group, ctx):
                    settlement = await self._handled(run)
            else:
                settlement = await self._handled(run)
        except INTERRUPTS:
            raise
        except BaseException as exc:
            if run.is_over:
                return
            late = run.is_late and isinstance(exc, asyncio.CancelledError)
            settlement = self._settler.failed(ctx, overtime(self._handler.timeout) if late else exc)
        finally:
            self._metrics.ended(run.started)
        self._process.end_a_copy()
        if not run.is_over:
            self._on_end([(run, settlement)])

    def give_up(self, run: Run) -> None:
        """Its time is up, and it goes on: its task is settled without it."""
        if not run.is_over:
            self._on_end([(run, self._settler.failed(run.ctx, overtime(self._handler.timeout)))])

    async def _handled(self, run: Run) -> Settlement:
        return self._settler.done(run, await self._handler(run.ctx))

"""One run of the handler, and what becomes of its task."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from streamqueue.streams.tasks import Emit, Settlement
from streamqueue.worker import tracing
from streamqueue.worker.context import Context
from streamqueue.worker.forks import Process
from streamqueue.worker.handler import Handler, Overtime
from streamqueue.worker.handover import next_tasks
from streamqueue.worker.metrics import Metrics
from streamqueue.worker.outcome import Backoff, failed, is_expected, result_json, succeeded
from streamqueue.worker.runs import Run
from streamqueue.worker.settings import Settings


class Execution:
    """`await execution(run)` runs the handler, then calls `on_end` with the run and its settlement; not for a run that
    is over by then, since its lease was lost or it was handed back.
    """

    def __init__(
        self, handler: Handler, settings: Settings, metrics: Metrics, on_end: Callable[[Run, Settlement], None]
    ) -> None:
        self._handler = handler
        self._settings = settings
        self._metrics = metrics
        self._on_end = on_end
        self._backoff = Backoff(settings.backoff_initial, settings.backoff_max)
        self._process = Process()
        self._is_traced = tracing.is_recorded()

    async def __call__(self, run: Run) -> None:
        ctx, settings = run.ctx, self._settings
        self._metrics.in_flight += 1
        try:
            if self._is_traced or ctx.trace:
                with tracing.processing(settings.stream, settings.group, ctx):
                    settlement = await self._handled(ctx)
            else:
                settlement = await self._handled(ctx)
        except (Exception, SystemExit, asyncio.CancelledError) as exc:
            if run.is_over:
                return
            settlement = self._failed(run, exc)
        finally:
            self._metrics.ended(run.started)
        self._process.end_a_copy()
        if not run.is_over:
            self._on_end(run, settlement)

    def _failed(self, run: Run, error: BaseException) -> Settlement:
        if run.is_late and isinstance(error, asyncio.CancelledError):
            error = Overtime(f"timeout after {self._handler.timeout:g} s")
        ctx = run.ctx
        ctx.logger.warning("attempt %d failed: %s", ctx.attempt, error, exc_info=None if is_expected(error) else error)
        return failed(ctx, error, self._backoff)

    async def _handled(self, ctx: Context) -> Settlement:
        result, settings = await self._handler(ctx), self._settings
        return succeeded(ctx, result_json(ctx, result) if settings.results_ttl else None, self._going(ctx, result))

    def _going(self, ctx: Context, result: Any) -> tuple[Emit, ...]:
        stream, is_beyond = self._settings.next_stream, bool(self._settings.next_redis_url)
        if not stream:
            return ()
        return next_tasks(result, stream, is_beyond=is_beyond, task_id=ctx.id, carried=ctx.carried)

"""The settlement of a task whose run has ended, as its queue's settings want it, and a line in the log."""

from __future__ import annotations

from typing import Any

from streamqueue.streams.settlement import ACKNOWLEDGED, Emit, Settlement
from streamqueue.worker.context import Context
from streamqueue.worker.runs import Run
from streamqueue.worker.settings import Settings
from streamqueue.worker.settling.handover import next_tasks
from streamqueue.worker.settling.outcome import Backoff, failed, is_expected, meant, readable, result_json, succeeded

# Uncounted deliveries, as a multiple of maxDeliveries, from which on a retry's own delay gives way to the backoff. At
# twice as many the task is set aside: RAW_FACTOR in task.lua.
PATIENCE = 10


class Settler:
    def __init__(self, settings: Settings) -> None:
        self._next_stream = settings.next_stream
        self._on_next_redis = settings.has_next_redis
        self._keeps_results = settings.results_ttl > 0
        self._backoff = Backoff(settings.backoff_initial, settings.backoff_max, PATIENCE * settings.max_deliveries)

    @property
    def wants_results(self) -> bool:
        """Whether what a handler returns goes anywhere."""
        return self._keeps_results or bool(self._next_stream)

    def done(self, run: Run, result: Any) -> Settlement:
        """Acknowledged, with what the handler returned. Raises DeadLetter for what cannot be handed on."""
        if not (self.wants_results or run.has_emitted):
            return ACKNOWLEDGED
        ctx = run.ctx
        return succeeded(ctx, result_json(ctx, result) if self._keeps_results else None, self._going(ctx, result))

    def failed(self, ctx: Context, error: BaseException, *, traced: bool = True) -> Settlement:
        """A retry or a dead letter; `traced`: with its traceback in the log, where the error is no expected one."""
        error = readable(meant(error))
        shown = error if traced and not is_expected(error) else None
        ctx.logger.warning("attempt %d failed: %s", ctx.attempt, error, exc_info=shown)
        return failed(ctx, error, self._backoff)

    def _going(self, ctx: Context, result: Any) -> tuple[Emit, ...]:
        stream = self._next_stream
        if not stream:
            return ()
        return next_tasks(result, stream, on_next_redis=self._on_next_redis, task_id=ctx.id, carried=ctx.carried)

"""What Redis said to settlements: counted, measured, and logged where somebody should know."""

from __future__ import annotations

import time
from collections.abc import Sequence

from streamqueue.streams.settlement import Verdict
from streamqueue.worker.metrics.counters import Counters
from streamqueue.worker.metrics.exposition import Metrics
from streamqueue.worker.runs import Bundle, Run


class Verdicts:
    def __init__(self, counters: Counters, metrics: Metrics) -> None:
        self._counters = counters
        self._metrics = metrics

    def take(self, runs: Sequence[Run], verdicts: Sequence[Verdict]) -> None:
        """Those of `runs`, in their order."""
        if verdicts.count(Verdict.ACKED) < len(verdicts):
            runs = [run for run, verdict in zip(runs, verdicts, strict=True) if self._is_acked(run, verdict)]
        self._counters.acked += len(runs)
        self._metrics.acknowledged([run.entry.enqueued_ms for run in runs], time.time() * 1000)

    def take_whole(self, bundle: Bundle, verdicts: Sequence[Verdict]) -> None:
        """Those of a bundle that was done."""
        if verdicts.count(Verdict.ACKED) < len(verdicts):
            self.take(bundle, verdicts)
            return
        self._counters.acked += len(bundle)
        self._metrics.acknowledged(bundle.new.enqueued_ms(), time.time() * 1000)

    def _is_acked(self, run: Run, verdict: Verdict) -> bool:
        if verdict is Verdict.ACKED:
            return True
        self._counters.add(verdict)
        if verdict is Verdict.STOLEN:
            run.ctx.logger.warning("the lease was lost before the task ended; another worker has it")
        elif verdict is Verdict.HELD:
            run.ctx.logger.error(
                "the dead-letter stream or Redis's memory is full: the task is parked; purge or redrive dead letters, "
                "or give Redis memory"
            )
        return False

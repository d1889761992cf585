"""The heartbeat: one script for all that is in hand, a third of the visibility timeout apart."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress

from streamqueue.streams.errors import RedisProblem
from streamqueue.streams.tasks import TaskStore
from streamqueue.worker.executors.forks import Process
from streamqueue.worker.runs import Run, Runs

log = logging.getLogger(__name__)

PAUSE = 1.0  # seconds after a heartbeat that failed, and between two reports of progress


class Leases:
    """Renews the leases of `runs`; `on_lost` is called for each run whose lease another worker has taken, `on_beat`
    with each heartbeat, or with the problem that kept it.
    """

    def __init__(
        self,
        store: TaskStore,
        runs: Runs,
        interval: float,
        on_lost: Callable[[Run], None],
        on_beat: Callable[[RedisProblem | None], None],
    ) -> None:
        self._store = store
        self._runs = runs
        self._interval = interval
        self._on_lost = on_lost
        self._on_beat = on_beat
        self._progress = asyncio.Event()
        self._process = Process()

    async def keep(self) -> None:
        """Renew for ever, and between two renewals whenever there is progress to report."""
        loop = asyncio.get_running_loop()
        pause = min(PAUSE, self._interval)
        due = loop.time() + self._interval
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout_at(due):  # not wait_for: see Relaying
                    await self._progress.wait()
            started = loop.time()
            try:
                await self.renew()
                due = started + self._interval
                self._on_beat(None)
            except RedisProblem as problem:
                due = started + pause
                log.warning("leases were not renewed: %s", problem.message)
                self._on_beat(problem)
            await asyncio.sleep(pause)  # a handler may report progress as often as it likes

    async def renew(self) -> None:
        """Renew all now. Raises RedisProblem."""
        self._process.end_a_copy()
        self._progress.clear()
        runs = list(self._runs.held())
        if not runs:
            return
        reports = [self._report(run) for run in runs]
        lost = set(await self._store.renew(reports))
        for run, (*_, progress) in zip(runs, reports, strict=True):
            run.progress_sent = progress or run.progress_sent
            # A run that ended meanwhile has its verdict from its settlement.
            if (run.id, run.entry.token) in lost and not run.is_over:
                self._on_lost(run)

    def report_progress(self) -> None:
        """Send progress soon. To be called in the loop."""
        self._progress.set()

    def _report(self, run: Run) -> tuple[str, str, str, str]:
        entry, progress = run.entry, run.ctx.progress_json
        return entry.id, entry.token, run.ctx.id, "" if progress == run.progress_sent else progress

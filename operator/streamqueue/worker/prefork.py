"""Several processes on one queue, for handlers that use the CPU: each a consumer of its own, forked from one parent.

What was imported before the fork (a model, say) is shared. The parent takes no tasks: it passes signals on, and when a
child dies it hands the child's tasks on at once and forks another.
"""

from __future__ import annotations

import asyncio
import logging
import math
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import NoReturn

from streamqueue.api.spec import Delivery, Handler, Protocol, QueueSpec, Redis
from streamqueue.maintenance import release
from streamqueue.streams.errors import RedisProblem
from streamqueue.worker.consumer import new_name
from streamqueue.worker.metrics.pool import Pool, Row
from streamqueue.worker.process import SIGNALS, ignore
from streamqueue.worker.settings import Settings

log = logging.getLogger(__name__)

WRONG_SETTINGS = 2  # the exit code of a child that no other will do better than
PAUSE = 1.0  # seconds before the next, where a child died young

_SIGNALS = {each.value: each.name for each in signal.Signals}  # most of those for real time have no name

Serve = Callable[[Settings, str, Row | None, socket.socket], None]


@dataclass(frozen=True, slots=True)
class _Child:
    consumer: str
    place: int
    slots: int
    started: float  # monotonic


class Prefork:
    """`run()` ends when all children have. `serve(settings, consumer, metrics' row, line)` is what a child does."""

    def __init__(self, settings: Settings, serve: Serve) -> None:
        self._settings = settings
        self._serve = serve
        self._children: dict[int, _Child] = {}
        self._stops = 0
        port = settings.metrics_port
        self._pool = Pool(settings.processes, port) if port else None

    def run(self) -> None:
        # What comes just before a wait must end it, too: each signal leaves a byte, which the wait reads.
        self._signals, writes = os.pipe()
        os.set_blocking(writes, False)
        signal.set_wakeup_fd(writes, warn_on_full_buffer=False)
        self._own_end, self._line = socket.socketpair()
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for signum in SIGNALS:
            signal.signal(signum, lambda *_: self._stop())
        for place, slots in enumerate(shares(self._settings.concurrency, self._settings.processes)):
            self._start(place, slots)
        worst = 0
        while self._children:
            pid, status = self._next_end()
            child = self._children.pop(pid, None)
            if child is None:
                continue  # PID 1 inherits what others left behind
            code = os.waitstatus_to_exitcode(status)
            if self._stops and code in (0, -signal.SIGTERM):  # the latter before it had begun
                continue
            if code == WRONG_SETTINGS:
                worst = code
                self._stop()
            else:
                self._replace(child, code)
        ignore(SIGNALS)
        if worst:
            sys.exit(worst)

    def _next_end(self) -> tuple[int, int]:
        """The process that ended next, and its status."""
        while not (end := os.waitpid(-1, os.WNOHANG))[0]:
            os.read(self._signals, 512)
        return end

    def _stop(self) -> None:
        self._stops += 1
        if self._stops == 2:
            self._own_end.send(b"!")
        for pid in self._children:
            with suppress(ProcessLookupError):  # waited for, but not yet taken off the list
                os.kill(pid, signal.SIGTERM)

    def _start(self, place: int, slots: int) -> None:
        """Fork a child, unless all are to stop. Where there is no room for one it is tried again: the others go on."""
        child = _Child(new_name(self._settings), place, slots, time.monotonic())
        while not self._stops:
            try:
                self._fork(child)
            except OSError as exc:
                log.error("no process can be forked: %s", exc.strerror or exc)  # noqa: TRY400 - one line
                time.sleep(PAUSE)
            else:
                return

    def _fork(self, child: _Child) -> None:
        # No signal in between: each child is known when one comes, and has no handler of its parent's.
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        try:
            if self._stops:
                return
            pid = os.fork()
            if pid == 0:
                self._be(child)
            self._children[pid] = child
            if self._stops:  # by a thread of asyncio's that was about to end, and blocks nothing
                os.kill(pid, signal.SIGTERM)
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)

    def _be(self, child: _Child) -> NoReturn:
        signal.set_wakeup_fd(-1)
        for signum in (signal.SIGTERM, signal.SIGCHLD):
            signal.signal(signum, signal.SIG_DFL)
        # A terminal's Ctrl-C reaches all of its processes: what the parent makes of it would be the second word.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        code = 1
        try:
            self._own_end.close()
            row = self._pool.row(child.place) if self._pool else None
            self._serve(replace(self._settings, concurrency=child.slots, processes=1), child.consumer, row, self._line)
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        except BaseException:
            log.exception("%s cannot go on", child.consumer)
        finally:
            # Never back into the parent's code.
            sys.stdout.flush()
            os._exit(code)

    def _replace(self, child: _Child, code: int) -> None:
        cause = f"process ended with {code}" if code >= 0 else f"process ended by {_SIGNALS.get(-code, -code)}"
        log.error("%s: %s", child.consumer, cause)
        try:
            asyncio.run(self._hand_on(child, cause))
        except (RuntimeError, OSError) as exc:  # no thread, or no file, for asyncio: no reason for the others to end
            log.error("its tasks may come back when their leases expire: %s", exc)  # noqa: TRY400 - one line
        if time.monotonic() - child.started < PAUSE and not self._stops:
            time.sleep(PAUSE)
        self._start(child.place, child.slots)

    async def _hand_on(self, child: _Child, cause: str) -> None:
        """Without waiting for its leases to expire; each task that it ran is charged an attempt."""
        settings = self._settings
        spec = QueueSpec(
            redis=Redis(),
            stream=settings.stream,
            group=settings.group,
            handler=Handler(image="", protocol=Protocol.SDK),
            delivery=Delivery(settings.visibility_timeout, settings.max_deliveries, settings.dead_letter_max_length),
            results_ttl=settings.results_ttl,
        )
        try:
            async with settings.connect() as client:
                await release(client, spec, child.consumer, math.inf, cause)
        except RedisProblem as problem:
            log.warning("its tasks come back when their leases expire: %s", problem.message)


def shares(slots: int, processes: int) -> list[int]:
    """`slots` spread over `processes` as evenly as may be."""
    each, extra = divmod(slots, processes)
    return [each + (n < extra) for n in range(processes)]

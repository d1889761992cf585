"""Threads for handlers that are plain functions."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

from streamqueue.worker.forks import Process

Job = tuple[Callable[[], Any], asyncio.AbstractEventLoop, "asyncio.Future[Any]"]


class Threads:
    """Daemon threads, made as needed: a call that never returns must not keep the process from its end."""

    def __init__(self) -> None:
        self._jobs: SimpleQueue[Job] = SimpleQueue()
        self._idle = 0
        self._process = Process()
        self.overdue = 0  # calls that were given up but still hold their thread

    def submit(self, call: Callable[[], Any]) -> asyncio.Future[Any]:
        """Run `call` in a thread; must be awaited in the loop that submitted it."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        if self._idle:
            self._idle -= 1
        else:
            threading.Thread(target=self._work, daemon=True, name="streamqueue-handler").start()
        self._jobs.put((call, loop, future))
        return future

    def give_up(self, future: asyncio.Future[Any]) -> None:
        """Nobody waits for `future` any more; its slot is free when the call returns."""
        if future.done():
            return
        self.overdue += 1
        future.add_done_callback(self._returned)

    def _returned(self, future: asyncio.Future[Any]) -> None:
        self.overdue -= 1
        if not future.cancelled():
            future.exception()  # seen: asyncio need not complain of it

    def _work(self) -> None:
        while True:
            call, loop, future = self._jobs.get()
            result = None
            error: BaseException | None = None
            try:
                result = call()
            except StopIteration as exc:
                error = RuntimeError(f"the handler raised {exc!r}")  # a future refuses it
            except BaseException as exc:  # the handler's failure, whatever it is
                error = exc
            self._process.end_a_copy()
            try:
                loop.call_soon_threadsafe(self._deliver, future, result, error)
            except RuntimeError:
                return  # the loop is closed: the process is ending

    def _deliver(self, future: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
        self._idle += 1
        if future.cancelled():
            return
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)

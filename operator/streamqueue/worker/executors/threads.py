"""Threads for handlers that are plain functions."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

from streamqueue.worker.errors import Retry
from streamqueue.worker.executors.forks import Process

Returned = tuple["asyncio.Future[Any]", Any, BaseException | None]
Job = tuple[Callable[[], Any], asyncio.AbstractEventLoop, "asyncio.Future[Any]"]


class Threads:
    """Daemon threads, made as needed: a call that never returns must not keep the process from its end."""

    def __init__(self) -> None:
        self._jobs: SimpleQueue[Job] = SimpleQueue()
        self._idle = 0
        self._process = Process()
        self._returned: deque[Returned] = deque()
        self._told = False  # the loop, of what is in `_returned`
        self.overdue = 0  # calls that were given up but still hold their thread
        self.on_free: Callable[[], None] = lambda: None  # told of each of these that returned

    async def call(self, function: Callable[..., Any], *args: Any) -> Any:
        """What `function` returns or raises in a thread, which cannot be stopped: cancelled sooner, it is given up, and
        its slot is free when it returns. Raises Retry where the system refuses a thread.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        if self._idle:
            self._idle -= 1
        else:
            try:
                threading.Thread(target=self._work, daemon=True, name="streamqueue-handler").start()
            except RuntimeError as exc:  # no fault of the task's
                raise Retry(f"no thread for the handler: {exc}", counted=False) from None
        context = contextvars.copy_context()  # the current span, and what else the program keeps there
        self._jobs.put((lambda: context.run(function, *args), loop, future))
        try:
            return await future
        except asyncio.CancelledError:
            if not future.cancelled():  # the call had returned by then
                return future.result()
            self.overdue += 1
            raise

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
            self._returned.append((future, result, error))
            if self._told:
                continue
            self._told = True
            try:
                loop.call_soon_threadsafe(self._deliver)
            except RuntimeError:
                return  # the loop is closed: the process is ending

    def _deliver(self) -> None:
        self._told = False  # before the look: what comes after it is told anew
        while self._returned:
            future, result, error = self._returned.popleft()
            self._idle += 1
            if future.cancelled():
                self.overdue -= 1
                self.on_free()
            elif error is None:
                future.set_result(result)
            else:
                future.set_exception(error)

"""The worker: a handler, registered by decorator, run until SIGTERM."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from collections.abc import Callable
from typing import Any, TypeVar, overload

from streamqueue.worker.batch.handler import BatchHandler
from streamqueue.worker.child import Child
from streamqueue.worker.consumer import Consumer
from streamqueue.worker.errors import SettingsError
from streamqueue.worker.handler import Handler
from streamqueue.worker.metrics.counters import Counters
from streamqueue.worker.metrics.pool import Row
from streamqueue.worker.process import guarded, is_imported_anew, run
from streamqueue.worker.reconnecting import Reconnecting
from streamqueue.worker.settings import Settings

F = TypeVar("F", bound=Callable[..., Any])

log = logging.getLogger(__name__)


class Worker:
    """Runs one handler on one queue.

    Settings come from the `STREAMQUEUE_*` variables when the worker starts; keyword arguments, named like the fields
    of `Settings`, win over them.
    """

    def __init__(self, **settings: Any) -> None:
        self._overrides = settings
        self._function: Callable[..., Any] | None = None
        self._kind: type[Handler] | type[BatchHandler] = Handler
        self._timeout: float | None = None
        self._settings: Settings | None = None  # given to a forked child
        self._name = ""
        self._row: Row | None = None
        self._consumer: Consumer | None = None
        self._stopping = asyncio.Event()

    @property
    def counters(self) -> Counters:
        """What became of this process's runs so far."""
        return self._consumer.counters if self._consumer else Counters()

    @overload
    def task(self, function: F) -> F: ...

    @overload
    def task(self, *, timeout: float | None = None) -> Callable[[F], F]: ...

    def task(self, function: F | None = None, *, timeout: float | None = None) -> F | Callable[[F], F]:
        """Register the handler: `handle(task)` or `handle(task, ctx)`, `async def` or `def`.

        The annotation of `task` says what it gets: dict (the default), bytes, a dataclass, a pydantic model.
        `timeout` is seconds for one task; default: the queue's `handler.timeout`.
        """
        return self._registered(Handler, function, timeout)

    @overload
    def batch(self, function: F) -> F: ...

    @overload
    def batch(self, *, timeout: float | None = None) -> Callable[[F], F]: ...

    def batch(self, function: F | None = None, *, timeout: float | None = None) -> F | Callable[[F], F]:
        """Register a handler of many tasks at once: `handle(tasks)` or `handle(tasks, contexts)`.

        It gets a list of all that waits, at most the queue's `handler.concurrency`, and is called again when it has
        returned: None, or a list with an item for each task, which is its result or, an exception, its failure. What
        it raises is the failure of each. `timeout` is seconds for one call. The rest is as for `task`.
        """
        return self._registered(BatchHandler, function, timeout)

    def _registered(
        self, kind: type[Handler] | type[BatchHandler], function: F | None, timeout: float | None
    ) -> F | Callable[[F], F]:
        if timeout is not None and timeout <= 0:
            raise ValueError(f"timeout={timeout} must be greater than 0")

        def register(handler: F) -> F:
            if self._function is not None:
                raise TypeError(f"a worker has one handler, and {self._function.__name__}() is it already")
            kind(handler, timeout or 1.0)  # what cannot be called is said at import
            self._kind, self._function, self._timeout = kind, handler, timeout
            return handler

        return register if function is None else register(function)

    def run(self) -> None:
        """Work until SIGTERM or SIGINT; a second one hands back at once. Ends the process with 2 for wrong settings,
        1 when it cannot go on. Does nothing where multiprocessing imports the program for a process of the handler's.
        """
        if not is_imported_anew():
            guarded(self._run)

    def _run(self) -> None:
        settings = Settings.from_environment(**self._overrides)
        if settings.processes == 1:
            run(lambda: self)
            return
        from streamqueue.worker.prefork import Prefork

        Prefork(settings, self._run_as_child).run()

    def _run_as_child(self, settings: Settings, consumer: str, row: Row | None, line: socket.socket) -> None:
        self._settings, self._name, self._row = settings, consumer, row
        run(lambda: Child(self, line), [signal.SIGTERM])

    async def serve(self) -> None:
        """The same inside a running loop, without signal handlers: until `stop()`, which may come first."""
        try:
            await self._serve()
        finally:
            self._stopping = asyncio.Event()

    async def _serve(self) -> None:
        if self._function is None:
            raise SettingsError("no handler: decorate a function with @worker.task or @worker.batch")
        settings = self._settings or Settings.from_environment(**self._overrides)
        handler = self._kind(self._function, self._timeout or settings.timeout)
        if self._kind is BatchHandler and settings.concurrency == 1:
            log.warning("each batch will be of one task: set handler.concurrency to the size of the largest")
        if handler.timeout > settings.grace_period:
            log.warning(
                "a task may take %g s, and a worker that is told to stop has %g s: a stop cuts such tasks short; raise "
                "handler.timeout",
                *(handler.timeout, settings.grace_period),
            )
        async with Reconnecting(self._stopping).connected(settings) as client:
            if client is None:
                return
            self._consumer = Consumer(client, settings, handler, self._name, self._row)
            log.info("%s takes tasks from %s, group %s", self._consumer.name, settings.stream, settings.group)
            await self._consumer.run()

    def stop(self) -> None:
        """Take no more, finish what runs; once more: hand it back now. To be called in the loop of `serve`."""
        self._stopping.set()
        if self._consumer:
            self._consumer.stop()

"""Where handlers run: tasks of asyncio that are used again, and one clock over all of them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from contextvars import Context, copy_context
from typing import Generic, Protocol, TypeVar


class Runnable(Protocol):
    """A run, or several in one call."""

    task: asyncio.Task[None] | None
    started: float
    is_late: bool

    @property
    def is_over(self) -> bool: ...

    def cancel(self) -> None: ...


T = TypeVar("T", bound=Runnable)

PATIENCE = 5.0  # seconds that a handler has to end once it is cancelled


class Slots(Generic[T]):
    """`begin(run)` has `execute(run)` awaited soon. A run that takes longer than `timeout` seconds is cancelled, with
    `run.is_late`; `give_up(run)` is called if it goes on for all that, and `on_free()` when that one ends.

    A task of asyncio runs one handler after another, for making one costs more than a small handler does. One whose
    handler leaves a cancellation or a changed context variable behind is not used again. How many run at once is the
    caller's to decide.
    """

    def __init__(
        self,
        execute: Callable[[T], Awaitable[None]],
        timeout: float,
        give_up: Callable[[T], None] = lambda _: None,
        on_free: Callable[[], None] = lambda: None,
    ) -> None:
        self._execute = execute
        self._timeout = timeout
        self._give_up = give_up
        self._on_free = on_free
        self._given_up: set[T] = set()
        self._loop = asyncio.get_running_loop()
        self._context = copy_context()
        self._waiting: deque[T] = deque()
        self._running: dict[T, None] = {}  # in the order of their beginning
        self._idle: list[asyncio.Future[None]] = []
        self._roused = 0  # tasks that are about to look for runs
        self._tasks: set[asyncio.Task[None]] = set()
        self._clock: asyncio.TimerHandle | None = None
        self._closed = False
        self.failed: asyncio.Future[None] = self._loop.create_future()  # with the first error that left `execute`

    @property
    def overdue(self) -> int:
        """Runs that were given up but still have their task."""
        return len(self._given_up)

    def begin(self, run: T) -> None:
        self._waiting.append(run)
        if not self._roused:
            self._rouse()

    def close(self) -> None:
        """No more runs; what still runs ends on its own."""
        self._closed = True
        for future in self._idle:
            if not future.done():
                future.set_result(None)
        if self._clock:
            self._clock.cancel()

    def _rouse(self) -> None:
        self._roused += 1
        while self._idle:
            future = self._idle.pop()
            if not future.done():
                future.set_result(None)
                return
        # A context of its own: that of the caller may be a handler's. By no factory of the program's: eager tasks
        # (Python 3.12) would each begin the next before themselves.
        task = asyncio.Task(self._work(), loop=self._loop, context=self._context.copy())
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    async def _work(self) -> None:
        task, clean = asyncio.current_task(), copy_context()
        assert task
        while not self._closed:
            self._roused -= 1
            self._rouse_others()
            while self._waiting:
                await self._run(self._waiting.popleft(), task)
                if task.cancelling() or not _equal(copy_context(), clean):
                    self._rouse_others()
                    return
            future = self._loop.create_future()
            self._idle.append(future)
            try:
                await future
            except asyncio.CancelledError:  # late, by what an earlier handler left behind
                if not future.cancelled():  # roused: another goes in its place
                    self._roused -= 1
                    self._rouse()
                raise

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        if not self.failed.done():
            self.failed.set_exception(error)

    def _rouse_others(self) -> None:
        """One, while it is not known whether the handlers wait for anything: if not, this task alone runs them all."""
        for _ in range(len(self._waiting) - 1 - self._roused if self._running else min(1, len(self._waiting))):
            self._rouse()

    async def _run(self, run: T, task: asyncio.Task[None]) -> None:
        if run.is_over:
            return
        run.task, run.started = task, self._loop.time()
        self._running[run] = None
        if self._clock is None:
            self._clock = self._loop.call_at(run.started + self._timeout, self._check)
        try:
            await self._execute(run)
        finally:
            del self._running[run]
            run.task = None
            if run in self._given_up:
                self._given_up.remove(run)
                self._on_free()

    def _check(self) -> None:
        """Cancel whose time is up; the next look is when the oldest of the others' is."""
        self._clock = None
        now = self._loop.time()
        for run in self._running:
            if run.started + self._timeout > now:
                self._clock = self._loop.call_at(run.started + self._timeout, self._check)
                return
            if not run.is_late:
                run.is_late = True
                run.cancel()
                self._loop.call_later(PATIENCE, self._look_back, run)

    def _look_back(self, run: T) -> None:
        if run in self._running:
            self._given_up.add(run)
            try:
                self._give_up(run)
            except Exception as error:
                self._fail(error)


def _equal(one: Context, other: Context) -> bool:
    try:
        return one == other
    except Exception:  # of the comparison of two values: they are the handler's
        return False

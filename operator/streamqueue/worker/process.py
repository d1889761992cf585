"""A worker as a process: logging, signals, exit codes."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, NoReturn, Protocol

from streamqueue.streams.errors import RedisProblem
from streamqueue.worker.errors import SettingsError

SIGNALS = (signal.SIGTERM, signal.SIGINT)
PATIENCE = 5.0  # seconds that handlers which were handed back have to end with the process

log = logging.getLogger(__name__)


class Serving(Protocol):
    """What runs until it is stopped; a second stop() hands back at once."""

    async def serve(self) -> None: ...

    def stop(self) -> None: ...


def run(make: Callable[[], Serving], signals: Sequence[signal.Signals] = SIGNALS) -> None:
    """Serve what `make` returns until one of `signals`; exit codes as `guarded` has them."""
    stubborn: set[object] = set()
    try:
        guarded(lambda: asyncio.run(_until_signal(make, signals, stubborn)))
    except SystemExit as end:
        if stubborn:
            _end_at_once(end.code)
        raise
    if stubborn:
        _end_at_once(0)


def ignore(signals: Sequence[signal.Signals]) -> None:
    """From now on: the process is ending, and one more signal would become its exit code."""
    for signum in signals:
        signal.signal(signum, signal.SIG_IGN)


def guarded(main: Callable[[], None]) -> None:
    """Call `main`. Ends the process with 2 for wrong settings, 1 when it cannot go on."""
    if not logging.getLogger().handlers:
        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        main()
    except SettingsError as exc:
        sys.exit(_said(str(exc), 2))
    except RedisProblem as problem:
        sys.exit(_said(problem.message, 1))
    except RuntimeError as exc:
        sys.exit(_said(str(exc), 1))


def is_imported_anew() -> bool:
    """Whether this process of multiprocessing is importing the program, to which `run()` is a line like any other.

    Where processes are not forked, which is Python's own choice from 3.14 on, it would be a worker instead.
    """
    processes = sys.modules.get("multiprocessing.process")
    return bool(processes and getattr(processes.current_process(), "_inheriting", False))  # as multiprocessing asks


async def _until_signal(make: Callable[[], Serving], signals: Sequence[signal.Signals], stubborn: set[object]) -> None:
    serving = make()
    loop = asyncio.get_running_loop()
    for signum in signals:
        loop.add_signal_handler(signum, serving.stop)
    try:
        await serving.serve()
    finally:
        until = loop.time() + PATIENCE
        stubborn |= await _going_on(until)
        threads: ThreadPoolExecutor | None = getattr(loop, "_default_executor", None)
        if threads and not await _have_ended(threads, until):
            stubborn.add(threads)
        signal.pthread_sigmask(signal.SIG_BLOCK, signals)  # asyncio gives them back to the system first
        for signum in signals:
            loop.remove_signal_handler(signum)
        ignore(signals)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)


async def _going_on(until: float) -> set[asyncio.Task[Any]]:
    """Handlers whose tasks were handed back and which don't end when cancelled: asyncio.run() would wait for ever."""
    rest = asyncio.all_tasks() - {asyncio.current_task()}
    for task in rest:
        task.cancel()
    if rest:
        _, rest = await asyncio.wait(rest, timeout=until - asyncio.get_running_loop().time())
    for task in rest:
        asyncio.tasks._unregister_task(task)
    return rest


async def _have_ended(threads: ThreadPoolExecutor, until: float) -> bool:
    """Whether all calls of asyncio.to_thread() end in time. Else the loop forgets its executor, for which asyncio.run()
    would wait as well.
    """
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()

    def end() -> None:
        threads.shutdown()
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(ended.set)

    with suppress(TimeoutError, RuntimeError):  # the latter: no thread may be started
        threading.Thread(target=end, daemon=True).start()
        async with asyncio.timeout_at(until):
            await ended.wait()
    if not ended.is_set():
        loop._default_executor = None  # type: ignore[attr-defined]
    return ended.is_set()


def _end_at_once(code: Any) -> NoReturn:
    """Without the interpreter's own clean-up, in which the handlers would go on, and their threads be waited for."""
    log.warning("the process ends without handlers that do not end")
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else 1)


def _said(message: str, code: int) -> int:
    print(f"streamqueue: {message}", file=sys.stderr)
    return code

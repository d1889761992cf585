"""A worker as a process: logging, signals, exit codes."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterable
from typing import Any, NoReturn, Protocol

from streamqueue.streams.errors import RedisProblem
from streamqueue.worker.errors import SettingsError

SIGNALS = (signal.SIGTERM, signal.SIGINT)
PATIENCE = 5.0  # seconds that cancelled handlers have to end with the process

log = logging.getLogger(__name__)


class Serving(Protocol):
    """What runs until it is stopped; a second stop() hands back at once."""

    async def serve(self) -> None: ...

    def stop(self) -> None: ...


def run(make: Callable[[], Serving], signals: Iterable[signal.Signals] = SIGNALS) -> None:
    """Serve what `make` returns until one of `signals`; exit codes as `guarded` has them."""
    stubborn: set[asyncio.Task[Any]] = set()
    try:
        guarded(lambda: asyncio.run(_until_signal(make, signals, stubborn)))
    except SystemExit as end:
        if stubborn:
            _end_at_once(end.code)
        raise
    if stubborn:
        _end_at_once(0)


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


async def _until_signal(
    make: Callable[[], Serving], signals: Iterable[signal.Signals], stubborn: set[asyncio.Task[Any]]
) -> None:
    serving = make()
    loop = asyncio.get_running_loop()
    for signum in signals:
        loop.add_signal_handler(signum, serving.stop)
    try:
        await serving.serve()
    finally:
        stubborn |= await _going_on()


async def _going_on() -> set[asyncio.Task[Any]]:
    """Handlers that were handed back, cancelled, and do not end. asyncio.run() would wait for them for ever."""
    rest = asyncio.all_tasks() - {asyncio.current_task()}
    for task in rest:
        task.cancel()
    if rest:
        _, rest = await asyncio.wait(rest, timeout=PATIENCE)
    for task in rest:
        asyncio.tasks._unregister_task(task)
    return rest


def _end_at_once(code: Any) -> NoReturn:
    """Their code would go on while the interpreter clears them away."""
    log.warning("the process ends without handlers that ignore their cancellation")
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else 1)


def _said(message: str, code: int) -> int:
    print(f"streamqueue: {message}", file=sys.stderr)
    return code

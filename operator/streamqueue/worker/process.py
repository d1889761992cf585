"""A worker as a process: logging, signals, exit codes."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import Callable, Iterable
from typing import Protocol

from streamqueue.streams.errors import RedisProblem
from streamqueue.worker.errors import SettingsError

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Serving(Protocol):
    """What runs until it is stopped; a second stop() hands back at once."""

    async def serve(self) -> None: ...

    def stop(self) -> None: ...


def run(make: Callable[[], Serving], signals: Iterable[signal.Signals] = SIGNALS) -> None:
    """Serve what `make` returns until one of `signals`; exit codes as `guarded` has them."""
    guarded(lambda: asyncio.run(_until_signal(make, signals)))


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


async def _until_signal(make: Callable[[], Serving], signals: Iterable[signal.Signals]) -> None:
    serving = make()
    loop = asyncio.get_running_loop()
    for signum in signals:
        loop.add_signal_handler(signum, serving.stop)
    await serving.serve()


def _said(message: str, code: int) -> int:
    print(f"streamqueue: {message}", file=sys.stderr)
    return code

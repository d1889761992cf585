"""The command line, called in a fork of a process that has imported it once.

Importing takes a call longer than most of its work. `PROGRAM` is the installed one, which starts from nothing.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from importlib import import_module
from multiprocessing.connection import wait
from pathlib import Path
from tempfile import NamedTemporaryFile

PROGRAM = Path(sys.executable).with_name("streamqueue")

_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(["__main__", f"{__package__}.preload"])
# A start asks after all processes, and of two threads that ask after one, one is told 255.
_asking = threading.Lock()


def call(
    words: Sequence[str], environment: Mapping[str, str], folder: Path | None = None, limit: float = 120
) -> subprocess.CompletedProcess[str]:
    """`streamqueue WORDS…` in `folder`, however it ends; TimeoutExpired after `limit` seconds."""
    with NamedTemporaryFile("r") as out, NamedTemporaryFile("r") as err:
        arguments = (list(words), dict(environment), folder or Path.cwd(), out.name, err.name)
        process = _forks.Process(target=_run, args=arguments)
        with _asking:
            process.start()
        wait([process.sentinel], limit)
        with _asking:
            code = process.exitcode
        if code is None:
            process.kill()
            raise subprocess.TimeoutExpired(["streamqueue", *words], limit)
        return subprocess.CompletedProcess(["streamqueue", *words], code, out.read(), err.read())


def _run(words: list[str], environment: dict[str, str], folder: Path, out: str, err: str) -> None:
    for number, path in ((1, out), (2, err)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_APPEND), number)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.argv = ["streamqueue", *words]
    import_module("streamqueue.cli.main").main()

"""The parent of several processes, without Redis."""

from __future__ import annotations

import subprocess
import sys

import pytest

from streamqueue.worker.prefork import Prefork, _Child
from streamqueue.worker.settings import Settings

PROGRAM = """
import ctypes, functools, operator, os, signal, time
from streamqueue.worker.prefork import Prefork
from streamqueue.worker.settings import Settings
settings = Settings(redis_url="redis://127.0.0.1:1/0", stream="orders", consumer="pod", concurrency=2, processes=2)
prefork = Prefork(settings, lambda *_: time.sleep(60))
{before}
prefork.run()
"""

# Both calls in C: no bytecode lies between them, at which Python would see the signal.
JUST_BEFORE_THE_WAIT = """
told = functools.partial(ctypes.CDLL(None)["raise"], signal.SIGTERM)
read = os.read
def told_and_read(*arguments):
    os.read = read
    return list(map(operator.call, [told, functools.partial(read, *arguments)]))[1]
os.read = told_and_read
"""

BETWEEN_FORK_AND_BOOKKEEPING = """
fork = os.fork
def fork_and_stop():
    if pid := fork():
        prefork._stop()
    return pid
os.fork = fork_and_stop
"""

AS_NO_PROCESS_MAY_BE_FORKED = """
fork = os.fork
def refused():
    os.fork = told_and_forked
    raise BlockingIOError("no more processes")
def told_and_forked():
    os.fork = fork
    signal.raise_signal(signal.SIGTERM)
    return fork()
os.fork = refused
"""


NO_THREAD = """
import dataclasses, threading
def refused(thread):
    raise RuntimeError("can't start new thread")
threading.Thread.start = refused  # one would ask for the address of a name
prefork._settings = dataclasses.replace(settings, redis_url="redis://localhost:1/0")
def refuse(): pass
"""

NO_FILE = """
import resource
def refuse(): resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))
"""

WHEN_A_CHILD_DIES = """
import itertools
fork, forks = os.fork, itertools.count()
def dying_or_told():
    n = next(forks)
    refuse()
    if n == 2:  # in place of the first
        signal.raise_signal(signal.SIGTERM)
    pid = fork()
    if n == 0 and pid == 0:
        os._exit(1)
    return pid
os.fork = dying_or_told
"""


@pytest.mark.parametrize(
    "before",
    [
        JUST_BEFORE_THE_WAIT,
        BETWEEN_FORK_AND_BOOKKEEPING,
        AS_NO_PROCESS_MAY_BE_FORKED,
        NO_THREAD + WHEN_A_CHILD_DIES,
        NO_FILE + WHEN_A_CHILD_DIES,
    ],
)
def test_a_signal_at_any_moment_ends_all(before: str) -> None:
    program = PROGRAM.format(before=before)
    assert subprocess.run([sys.executable, "-c", program], timeout=20, check=False).returncode == 0


def test_a_signal_reaches_the_others_of_a_child_that_has_just_ended() -> None:
    """Between the end of a child and its removal from the list; the parent's own end would kill the others."""
    settings = Settings(redis_url="redis://127.0.0.1:1/0", stream="orders", concurrency=2, processes=2)
    prefork = Prefork(settings, lambda *_: None)
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    lives = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    for place, each in enumerate((gone, lives)):
        prefork._children[each.pid] = _Child(f"pod.{place}", place, 1, 0.0)
    try:
        prefork._stop()
        assert lives.wait(10) < 0
    finally:
        lives.kill()

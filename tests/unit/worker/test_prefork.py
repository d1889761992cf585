"""The parent of several processes, without any."""

from __future__ import annotations

import subprocess
import sys

from streamqueue.worker.prefork import Prefork, _Child
from streamqueue.worker.settings import Settings


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

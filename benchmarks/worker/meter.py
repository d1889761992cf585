"""Counts tasks in the worker's process, and tells the harness when counting begins and ends.

Imported by the contenders in their own environments: it needs nothing but the standard library.
"""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

TASKS = int(os.environ["BENCH_TASKS"])
SECONDS = float(os.environ["BENCH_SECONDS"])  # that one task takes
URL = os.environ["BENCH_REDIS_URL"]
CONCURRENCY = 20
_FOLDER = Path(os.environ["BENCH_FOLDER"])
_WARM = TASKS // 10  # tasks before the clock starts
_lock = threading.Lock()
_count = 0


def tick() -> None:
    """One task is done."""
    global _count
    with _lock:
        _count += 1
        count = _count
    if count in (_WARM, TASKS):
        (_FOLDER / ("first" if count == _WARM else "last")).write_text(repr(time.monotonic()))

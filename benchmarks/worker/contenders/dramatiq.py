"""dramatiq: acknowledges after the task, a dead worker's messages are requeued."""

from __future__ import annotations

import sys
import time
from pathlib import Path

# This file has the name of the package that it imports.
sys.path = [entry for entry in sys.path if Path(entry or ".").resolve() != Path(__file__).parent]
import dramatiq  # noqa: E402
from dramatiq.brokers.redis import RedisBroker  # noqa: E402
from meter import CONCURRENCY, SECONDS, TASKS, URL, tick  # noqa: E402

broker = RedisBroker(url=URL, middleware=[])
dramatiq.set_broker(broker)


@dramatiq.actor
def handle(n: int) -> None:
    if SECONDS:
        time.sleep(SECONDS)
    tick()


if sys.argv[1] == "fill":
    for n in range(TASKS):
        handle.send(n)
else:
    worker = dramatiq.Worker(broker, worker_threads=CONCURRENCY)
    worker.start()
    while True:
        time.sleep(1)

"""Celery with acks_late: at least once, as the others."""

from __future__ import annotations

import sys
import time
from pathlib import Path

# This file has the name of the package that it imports.
sys.path = [entry for entry in sys.path if Path(entry or ".").resolve() != Path(__file__).parent]
from celery import Celery  # noqa: E402
from meter import CONCURRENCY, SECONDS, TASKS, URL, tick  # noqa: E402

app = Celery("bench", broker=URL)
app.conf.update(task_acks_late=True, task_ignore_result=True, worker_prefetch_multiplier=4)


@app.task(name="handle")
def handle(n: int) -> None:
    if SECONDS:
        time.sleep(SECONDS)
    tick()


if sys.argv[1] == "fill":
    with app.connection_for_write() as connection, app.amqp.producer_pool.acquire() as producer:
        for n in range(TASKS):
            handle.apply_async((n,), connection=connection, producer=producer)
else:
    app.worker_main(["worker", "--pool=threads", f"--concurrency={CONCURRENCY}", "--loglevel=ERROR", "--without-gossip",
                     "--without-mingle", "--without-heartbeat"])  # fmt: skip

"""taskiq with its Redis Streams broker, which acknowledges after the task."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

# This file has the name of the package that it imports.
sys.path = [entry for entry in sys.path if Path(entry or ".").resolve() != Path(__file__).parent]
from meter import CONCURRENCY, SECONDS, TASKS, URL, tick  # noqa: E402
from taskiq.api import run_receiver_task  # noqa: E402
from taskiq_redis import RedisStreamBroker  # noqa: E402

broker = RedisStreamBroker(URL, queue_name="bench", xread_count=100)


@broker.task
async def handle(n: int) -> None:
    if SECONDS:
        await asyncio.sleep(SECONDS)
    tick()


async def fill() -> None:
    await broker.startup()
    for start in range(0, TASKS, 50):
        await asyncio.gather(*(handle.kiq(n) for n in range(start, start + 50)))
    await broker.shutdown()


async def work() -> None:
    broker.is_worker_process = True
    await run_receiver_task(broker, run_startup=True, max_async_tasks=CONCURRENCY if SECONDS else 100)


asyncio.run(fill() if sys.argv[1] == "fill" else work())

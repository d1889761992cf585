"""The SDK: `ours` an `async def` handler, `ours-plain` a `def` in threads."""

from __future__ import annotations

import asyncio
import os
import sys
import time

from meter import CONCURRENCY, SECONDS, TASKS, URL, tick

from streamqueue import Queue, Worker

worker = Worker(redis_url=URL, stream="bench", concurrency=100 if not SECONDS else CONCURRENCY)


async def handle(task: dict[str, str]) -> None:
    int(task["n"])
    if SECONDS:
        await asyncio.sleep(SECONDS)
    tick()


def handle_plain(task: dict[str, str]) -> None:
    int(task["n"])
    if SECONDS:
        time.sleep(SECONDS)
    tick()


async def fill() -> None:
    async with Queue(URL, "bench") as queue:
        await queue.send_many({"n": n} for n in range(TASKS))


if sys.argv[1] == "fill":
    asyncio.run(fill())
else:
    worker.task(handle_plain if os.environ["BENCH_CONTENDER"] == "ours-plain" else handle)
    worker.run()

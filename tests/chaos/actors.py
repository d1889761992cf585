"""Processes of the storm: `python -m tests.chaos.actors worker|producer RECORD …`. Each appends to a record of its own.

A line in the record is written by one write(2), so that it is there whatever happens to the process next.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys

from streamqueue import Context, Queue, Worker

STREAM = "storm"
PATIENCE = 60.0  # seconds for which a producer tries


def work(record: int) -> None:
    worker = Worker()

    @worker.task
    async def handle(task: dict[str, str], ctx: Context) -> None:
        await asyncio.sleep(random.uniform(0.0, 2 * float(task["seconds"])))
        if task["fails"] == "1" and ctx.attempt == 1:
            raise ValueError("as it was told")
        os.write(record, f"{ctx.id}\n".encode())

    worker.run()


async def produce(record: int, name: str, count: int, rate: float) -> None:
    """`count` tasks, about `rate` a second; only what was acknowledged is recorded."""
    url = os.environ["STREAMQUEUE_REDIS_URL"]
    async with Queue(url, STREAM, patience=PATIENCE) as queue, asyncio.TaskGroup() as group:
        for n in range(count):
            group.create_task(_send(queue, record, f"{name}-{n}", n))
            await asyncio.sleep(random.expovariate(rate))


async def _send(queue: Queue, record: int, task_id: str, n: int) -> None:
    fails = "1" if n % 50 == 0 else "0"
    delay = 0.5 if n % 20 == 0 else 0.0
    await queue.send({"seconds": "0.01", "fails": fails}, id=task_id, delay=delay)
    os.write(record, f"{task_id}\n".encode())


def main() -> None:
    role, path, *arguments = sys.argv[1:]
    record = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    if role == "worker":
        work(record)
    else:
        name, count, rate = arguments
        asyncio.run(produce(record, name, int(count), float(rate)))


if __name__ == "__main__":
    main()

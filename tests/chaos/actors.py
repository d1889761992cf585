"""Processes of the storm: `run(Actor(…))` in a process of its own. Each appends to a record of its own.

A line in the record is written by one write(2), so that it is there whatever happens to the process next.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from streamqueue import Context, Queue, Worker

STREAM = "storm"
PATIENCE = 60.0  # seconds for which a producer tries


@dataclass(frozen=True, slots=True)
class Actor:
    """A worker; or a producer of `count` tasks, about `rate` a second, whose ids begin with its name."""

    record: Path
    environment: Mapping[str, str]
    count: int = 0
    rate: float = 0.0

    def open(self) -> int:
        """The record, in a process that says what it has to say in a log beside it."""
        os.environ.update(self.environment)
        log = os.open(self.record.with_suffix(".log"), os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.dup2(log, 1)
        os.dup2(log, 2)
        return os.open(self.record, os.O_WRONLY | os.O_APPEND | os.O_CREAT)


def run(actor: Actor) -> None:
    record = actor.open()
    if actor.count:
        asyncio.run(produce(record, actor.record.name, actor.count, actor.rate))
    else:
        work(record)


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

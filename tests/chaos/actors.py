"""Processes of the storm: `run(Actor(…))` in a child of the nursery. Each appends to a record of its own.

A line in the record is written by one write(2), so that it is there whatever happens to the process next.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from streamqueue import Context, Queue, Worker

STREAM = "storm"
BATCH = 10
AT_ONCE = 5
PATIENCE = 300.0  # seconds for which a producer tries
VISIBILITY = 2.0


@dataclass(frozen=True, slots=True)
class Actor:
    """A worker; or a producer of `count` tasks, about `rate` a second, whose ids begin with its name."""

    record: str  # a path
    environment: Mapping[str, str]
    count: int = 0
    rate: float = 0.0

    @property
    def name(self) -> str:
        return Path(self.record).name

    def open(self) -> int:
        """The record, in a process that says what it has to say in a log beside it."""
        os.environ.update(self.environment)
        log = os.open(f"{self.record}.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.dup2(log, 1)
        os.dup2(log, 2)
        return os.open(self.record, os.O_WRONLY | os.O_APPEND | os.O_CREAT)


def run(actor: Actor) -> None:
    _play(actor, work)


def run_batches(actor: Actor) -> None:
    """The worker takes its tasks together."""
    _play(actor, work_in_batches)


def _play(actor: Actor, work: Callable[[int], None]) -> None:
    record = actor.open()
    if actor.count:
        asyncio.run(produce(record, actor.name, actor.count, actor.rate))
    else:
        work(record)


def work(record: int) -> None:
    worker = Worker()

    @worker.task
    async def handle(task: dict[str, str], ctx: Context) -> None:
        await asyncio.sleep(random.uniform(0.0, 2 * float(task["seconds"])))
        if _fails(task, ctx):
            raise ValueError("as it was told")
        os.write(record, f"{ctx.id}\n".encode())

    worker.run()


def work_in_batches(record: int) -> None:
    worker = Worker()

    @worker.batch
    async def handle(tasks: list[dict[str, str]], contexts: list[Context]) -> list[ValueError | None]:
        await asyncio.sleep(max(random.uniform(0.0, 2 * float(task["seconds"])) for task in tasks))
        both = list(zip(tasks, contexts, strict=True))
        failures = [ValueError("as it was told") if _fails(task, ctx) else None for task, ctx in both]
        done = [ctx.id for (_, ctx), failure in zip(both, failures, strict=True) if not failure]
        os.write(record, "".join(f"{task}\n" for task in done).encode())
        return failures

    worker.run()


def _fails(task: dict[str, str], ctx: Context) -> bool:
    return task["fails"] == "1" and ctx.attempt == 1


async def produce(record: int, name: str, count: int, rate: float) -> None:
    """`count` tasks, about `rate` a second, ten at once; only what was acknowledged is recorded."""
    url = os.environ["STREAMQUEUE_REDIS_URL"]
    free = asyncio.Semaphore(AT_ONCE)  # while Redis is away, sends must not pile up
    async with Queue(url, STREAM, patience=PATIENCE) as queue, asyncio.TaskGroup() as group:
        for start in range(0, count, BATCH):
            numbers = range(start, min(start + BATCH, count))
            await free.acquire()
            group.create_task(_send(queue, record, name, numbers)).add_done_callback(lambda _: free.release())
            await asyncio.sleep(random.expovariate(rate / BATCH))


async def _send(queue: Queue, record: int, name: str, numbers: range) -> None:
    """One of fifty fails at first; one batch of twenty is delayed; some take longer than the visibility timeout."""
    long = float(os.environ["STORM_LONG"])
    ids = [f"{name}-{n}" for n in numbers]
    payloads = [
        {"seconds": str(VISIBILITY if random.random() < long else 0.01), "fails": str(int(n % 50 == 0))}
        for n in numbers
    ]
    delay = 0.5 if numbers[0] % (20 * BATCH) == 0 else 0.0
    if os.environ["STORM_REPLICATED"] == "1":
        await asyncio.gather(*(_replicated(queue, *task, delay) for task in zip(payloads, ids, strict=True)))
    else:
        await queue.send_many(payloads, ids=ids, delay=delay)
    os.write(record, "".join(f"{task}\n" for task in ids).encode())


async def _replicated(queue: Queue, payload: dict[str, str], task: str, delay: float) -> None:
    """Until a replica has it: before that, it is not acknowledged."""
    while not (await queue.send(payload, id=task, delay=delay, replicated=True)).replicated:
        pass

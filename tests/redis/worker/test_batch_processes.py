"""Handlers of many tasks at once in processes of their own: SIGTERM, and what kills them."""

from __future__ import annotations

import asyncio
import signal
from contextlib import AbstractAsyncContextManager

import pytest

from tests.redis.queue import Queue
from tests.redis.servers.process import RunningServer
from tests.redis.worker.program import running, said
from tests.redis.worker.stores import PARKED, owners, store, take

pytestmark = pytest.mark.process

PROGRAM = """
import os, time
from streamqueue import Worker
worker = Worker()
@worker.batch
def handle(tasks, contexts):
    what = ",".join(f"{task['task']}/{ctx.attempt}" for task, ctx in zip(tasks, contexts))
    os.write(1, f"{os.getpid()} {what}\\n".encode())
    if os.environ.get("POISON") in [task["task"] for task in tasks]:
        os.kill(os.getpid(), 9)
    time.sleep(float(os.environ.get("SECONDS", "0")))
worker.run()
"""


def process(
    server: RunningServer, *, concurrency: int = 4, seconds: str = "0", poison: str = "", **settings: str
) -> AbstractAsyncContextManager[asyncio.subprocess.Process]:
    environment = {"SECONDS": seconds, "POISON": poison}
    return running(PROGRAM, server, environment, CONCURRENCY=str(concurrency), **settings)


async def calls(child: asyncio.subprocess.Process, count: int) -> list[list[str]]:
    """The next calls: their tasks, as task/attempt."""
    return [line[1].split(",") for line in await said(child, count)]


async def ended(child: asyncio.subprocess.Process) -> None:
    child.send_signal(signal.SIGTERM)
    assert await asyncio.wait_for(child.wait(), 20) == 0


async def test_sigterm_finishes_the_batch_and_takes_no_more(queue: Queue, shared_server: RunningServer) -> None:
    await queue.add(6)
    async with process(shared_server, seconds="0.5") as child:
        assert await calls(child, 1) == [["0/1", "1/1", "2/1", "3/1"]]
        await ended(child)
    snapshot = await queue.snapshot()
    assert (snapshot.pending, snapshot.parked, snapshot.due, snapshot.undelivered) == (0, 0, 0, 2)
    assert snapshot.consumers == ()


async def test_a_batch_that_does_not_end_in_time_is_handed_back_uncounted(
    queue: Queue, shared_server: RunningServer
) -> None:
    await queue.add(3)
    async with process(shared_server, seconds="60", GRACE="0.3") as child:
        await calls(child, 1)
        child.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(child.wait(), 10) == 0
    assert set((await owners(queue)).values()) == {PARKED}
    entries = await take(store(queue.redis, "next"))
    assert [(entry.attempts, entry.crashes) for entry in entries] == [(0, 0)] * 3


async def test_with_processes_a_poison_task_kills_a_batch_once_then_runs_alone(
    queue: Queue, shared_server: RunningServer
) -> None:
    await queue.add(4)
    more = {"PROCESSES": "2", "MAX_DELIVERIES": "2"}
    async with process(shared_server, concurrency=8, poison="2", **more) as child:
        seen = await calls(child, 5)
        async with asyncio.timeout(20):
            while not (dead := await queue.dead()) or await queue.pending():  # noqa: ASYNC110 - the server's
                await asyncio.sleep(0.02)
        await ended(child)
    assert [(letter["task"], letter["sq-cause"]) for letter in dead] == [("2", "process ended by SIGKILL")]
    again = [call for call in seen if call[0].endswith("/2")]
    assert sorted(again) == [["0/2"], ["1/2"], ["2/2"], ["3/2"]], seen

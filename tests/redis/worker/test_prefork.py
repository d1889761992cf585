"""Several processes on one queue."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from streamqueue.worker.errors import SettingsError
from streamqueue.worker.prefork import shares
from streamqueue.worker.settings import Settings
from tests.redis.queue import Queue
from tests.redis.servers.process import RunningServer
from tests.redis.worker.stores import owners

PROGRAM = """
import os, time
from streamqueue import Worker
worker = Worker()
@worker.task
def handle(task, ctx):
    os.write(1, f"{task['how']} {ctx.attempt} {os.getpid()}\\n".encode())
    if task["how"] == "dies" and ctx.attempt == 1:
        os.kill(os.getpid(), 9)
    time.sleep(float(task.get("seconds", 0)))
worker.run()
"""


@asynccontextmanager
async def fleet(server: RunningServer, **settings: str) -> AsyncIterator[asyncio.subprocess.Process]:
    pod = {"REDIS_URL": server.url, "STREAM": Queue.stream, "CONSUMER": "pod", "CONCURRENCY": "2", "PROCESSES": "2"}
    variables = {f"STREAMQUEUE_{name}": value for name, value in {**pod, **settings}.items()}
    parent = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PROGRAM), env={**os.environ, **variables}, stdout=asyncio.subprocess.PIPE
    )
    try:
        yield parent
    finally:
        if parent.returncode is None:
            parent.send_signal(signal.SIGTERM)
            parent.send_signal(signal.SIGTERM)
            await parent.wait()


async def said(parent: asyncio.subprocess.Process, lines: int) -> list[list[str]]:
    assert parent.stdout
    return [(await asyncio.wait_for(parent.stdout.readline(), 20)).decode().split() for _ in range(lines)]


async def test_two_tasks_run_in_two_processes_and_end_on_sigterm(queue: Queue, shared_server: RunningServer) -> None:
    for _ in range(3):
        await queue.redis.xadd(queue.stream, {"how": "works", "seconds": "1.0"})
    async with fleet(shared_server) as parent:
        first, second = await said(parent, 2)
        assert first[2] != second[2] and str(parent.pid) not in (first[2], second[2])
        parent.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(parent.wait(), 20) == 0
    snapshot = await queue.snapshot()
    assert (snapshot.pending, snapshot.parked, snapshot.due, snapshot.undelivered) == (0, 0, 0, 1)
    assert snapshot.consumers == ()


async def test_a_process_that_dies_is_replaced_and_its_task_handed_on_at_once(
    queue: Queue, shared_server: RunningServer
) -> None:
    await queue.redis.xadd(queue.stream, {"how": "dies"})
    started = time.monotonic()
    async with fleet(shared_server, VISIBILITY_TIMEOUT="60") as parent:
        (first,), (second,) = await said(parent, 1), await said(parent, 1)
        assert (first[:2], second[:2]) == (["dies", "1"], ["dies", "2"]) and first[2] != second[2]
        assert time.monotonic() - started < 20, "not the visibility timeout"
        for _ in range(2):
            await queue.redis.xadd(queue.stream, {"how": "works", "seconds": "1.0"})
        third, fourth = await said(parent, 2)
        assert third[2] != fourth[2], "there are two again"
        parent.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(parent.wait(), 20) == 0
    assert await queue.dead() == [] and await owners(queue) == {}


async def test_what_kills_each_process_ends_as_a_dead_letter(queue: Queue, shared_server: RunningServer) -> None:
    await queue.redis.xadd(queue.stream, {"how": "dies"})
    async with fleet(shared_server, MAX_DELIVERIES="1") as parent:
        await said(parent, 1)
        for _ in range(400):
            if letters := await queue.dead():
                break
            await asyncio.sleep(0.05)
        parent.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(parent.wait(), 20) == 0
    assert (letters[0]["sq-reason"], letters[0]["sq-cause"]) == ("max-deliveries", "process ended by SIGKILL")


def test_slots_are_spread_evenly() -> None:
    assert [shares(*each) for each in ((4, 2), (5, 2), (3, 3))] == [[2, 2], [3, 2], [1, 1, 1]]


@pytest.mark.parametrize(
    ("wrong", "says"),
    [({"processes": 3}, "PROCESSES must not be above"), ({"processes": 2, "metrics_port": 9090}, "one process")],
)
def test_settings_that_do_not_go_together(wrong: dict[str, int], says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        Settings(redis_url="redis://h", stream="orders", consumer="pod", concurrency=2, **wrong)  # type: ignore[arg-type]

"""The end of a worker process, by real signals."""

from __future__ import annotations

import asyncio
import signal
import time
from contextlib import AbstractAsyncContextManager

import pytest

from tests.redis.queue import Queue
from tests.redis.servers.process import RunningServer, free_port
from tests.redis.worker.program import running, said
from tests.redis.worker.stores import KEYS, PARKED, owners, store, take
from tests.redis.worker.test_metrics import scrape

pytestmark = pytest.mark.process

PROGRAM = """
import asyncio, sys
from streamqueue import Worker
worker = Worker()
@worker.task
async def handle(task):
    print("begun", flush=True)
    await asyncio.sleep(float(task["seconds"]))
worker.run()
"""


ALL_IS_SAID = "import sys\nsys.stderr = open(1, 'w', buffering=1, closefd=False)\n"


def process(server: RunningServer, **settings: str) -> AbstractAsyncContextManager[asyncio.subprocess.Process]:
    return running(PROGRAM, server, {}, **settings)


async def begun(child: asyncio.subprocess.Process, tasks: int) -> None:
    assert await said(child, tasks) == [["begun"]] * tasks


async def test_sigterm_finishes_what_runs_and_takes_no_more(queue: Queue, shared_server: RunningServer) -> None:
    for _ in range(4):
        await queue.redis.xadd(queue.stream, {"seconds": "0.5"})
    async with process(shared_server, CONCURRENCY="2") as child:
        await begun(child, 2)
        child.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(child.wait(), 10) == 0
    snapshot = await queue.snapshot()
    assert (snapshot.pending, snapshot.parked, snapshot.due, snapshot.undelivered) == (0, 0, 0, 2)
    assert snapshot.consumers == ()


async def hands_back(queue: Queue, child: asyncio.subprocess.Process) -> None:
    """Two tasks that would take long are another worker's at once, without a charge."""
    started = time.monotonic()
    assert await asyncio.wait_for(child.wait(), 10) == 0
    assert time.monotonic() - started < 5
    assert set((await owners(queue)).values()) == {PARKED} and await queue.redis.hlen(KEYS.lease) == 0
    entries = await take(store(queue.redis, "next"))
    assert [(entry.attempts, entry.crashes) for entry in entries] == [(0, 0), (0, 0)]


@pytest.mark.parametrize("way", ["a second signal", "the end of the grace period"])
async def test_what_does_not_end_in_time_is_handed_back(queue: Queue, shared_server: RunningServer, way: str) -> None:
    for _ in range(2):
        await queue.redis.xadd(queue.stream, {"seconds": "60"})
    grace = "30" if way == "a second signal" else "0.3"
    async with process(shared_server, CONCURRENCY="2", GRACE=grace) as child:
        await begun(child, 2)
        child.send_signal(signal.SIGTERM)
        if way == "a second signal":
            await asyncio.sleep(0.3)
            assert child.returncode is None and set((await owners(queue)).values()) != {PARKED}
            child.send_signal(signal.SIGTERM)
        await hands_back(queue, child)


async def test_a_killed_workers_task_is_done_by_the_next(queue: Queue, shared_server: RunningServer) -> None:
    (task,) = [(await queue.redis.xadd(queue.stream, {"seconds": "0.3"})).decode()]
    async with process(shared_server, VISIBILITY_TIMEOUT="1") as child:
        await begun(child, 1)
        child.kill()
        await child.wait()
    assert list(await owners(queue)) == [task]
    async with process(shared_server, VISIBILITY_TIMEOUT="1") as child:
        await begun(child, 1)
        child.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(child.wait(), 10) == 0
    assert await owners(queue) == {}


@pytest.mark.parametrize(
    ("name", "value", "code", "says"),
    [
        ("TIMEOUT", "soon", 2, "STREAMQUEUE_TIMEOUT must be a number"),
        ("CONCURRENCY", "0", 2, "STREAMQUEUE_CONCURRENCY must be greater"),
        ("STREAM", "a{b}{c}", 2, "STREAMQUEUE_STREAM: braces"),
        ("REDIS_URL", "http://:secret@h", 1, "the Redis URL"),
    ],
)
async def test_wrong_settings_are_one_line_and_an_exit_code(
    shared_server: RunningServer, name: str, value: str, code: int, says: str
) -> None:
    """2; 1 where it is the way to Redis, which a file may bring right."""
    async with running(ALL_IS_SAID + PROGRAM, shared_server, {}, **{name: value}) as child:
        out, _ = await asyncio.wait_for(child.communicate(), 10)
    lines = out.decode().splitlines()
    assert (child.returncode, len(lines)) == (code, 1) and lines[0].startswith("streamqueue: ")
    assert says in lines[0] and "secret" not in lines[0]


STUBBORN = """
import asyncio
from streamqueue import Worker
from streamqueue.worker import dispatcher, process
from streamqueue.worker.executors import slots
dispatcher.PATIENCE = process.PATIENCE = slots.PATIENCE = 0.3
worker = Worker()
@worker.task
async def handle(task):
    print("begun", flush=True)
    print("last words")
    while True:
        try:
            await asyncio.sleep(60)
        except BaseException:
            pass
worker.run()
"""


@pytest.mark.parametrize("is_told", [True, False])
async def test_a_handler_that_ignores_its_cancellation_keeps_no_process(
    queue: Queue, shared_server: RunningServer, is_told: bool
) -> None:
    await queue.add()
    settings = {"GRACE": "0.3"} if is_told else {"TIMEOUT": "0.3"}
    async with running(ALL_IS_SAID + STUBBORN, shared_server, {}, **settings) as child:
        assert child.stdout
        await child.stdout.readuntil(b"begun\n")
        if is_told:
            child.send_signal(signal.SIGTERM)
        out, _ = await asyncio.wait_for(child.communicate(), 10)
        assert child.returncode == (0 if is_told else 1)
    assert b"last words" in out and b"without handlers that do not end" in out
    assert set((await owners(queue)).values()) == {PARKED}


BESIDE = """
import asyncio, atexit
from streamqueue import Worker
worker = Worker()
async def beside():
    try:
        await asyncio.sleep(60)
    finally:
        print("stopped")
@worker.task
async def handle(task):
    global kept
    kept = asyncio.create_task(beside())
    await asyncio.sleep(0)
    print("begun", flush=True)
atexit.register(print, "the end")
worker.run()
"""


async def test_what_a_handler_left_beside_it_is_stopped(queue: Queue, shared_server: RunningServer) -> None:
    await queue.add()
    async with running(BESIDE, shared_server, {}) as child:
        await begun(child, 1)
        child.send_signal(signal.SIGTERM)
        assert await said(child, 2) == [["stopped"], ["the", "end"]]
        assert await asyncio.wait_for(child.wait(), 10) == 0


IN_A_THREAD = """
import asyncio, time
from streamqueue import Worker
from streamqueue.worker import process
process.PATIENCE = 0.3
worker = Worker()
@worker.task
async def handle(task):
    print("begun", flush=True)
    await asyncio.to_thread(time.sleep, 60)
worker.run()
"""


async def test_a_call_in_a_thread_that_does_not_return_keeps_no_process(
    queue: Queue, shared_server: RunningServer
) -> None:
    """A thread of asyncio's own, which asyncio.run() waits for."""
    await queue.add()
    async with running(IN_A_THREAD, shared_server, {}, GRACE="0.3") as child:
        await begun(child, 1)
        child.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(child.wait(), 10) == 0
    assert set((await owners(queue)).values()) == {PARKED}


WITHOUT_THREADS = """
import threading
def refused(thread): raise RuntimeError("can't start new thread")
threading.Thread.start = refused
"""


SOON_WITHOUT_THREADS = f"""
import asyncio
from streamqueue import Worker
worker = Worker()
@worker.task
async def handle(task):
    await asyncio.to_thread(int)
    exec({WITHOUT_THREADS!r})
    print("begun", flush=True)
worker.run()
"""


@pytest.mark.parametrize("program", [WITHOUT_THREADS + PROGRAM, SOON_WITHOUT_THREADS], ids=["none", "no more"])
async def test_a_process_that_may_start_no_thread_ends_as_well(
    queue: Queue, shared_server: RunningServer, program: str
) -> None:
    await queue.redis.xadd(queue.stream, {"seconds": "0"})
    async with running(program, shared_server, {}) as child:
        await begun(child, 1)
        child.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(child.wait(), 10) == 0


TOLD_AS_IT_ENDS = """
import os, signal
class Told:
    kill, pid, how = staticmethod(os.kill), os.getpid(), signal.SIGTERM
    def __del__(self):
        self.kill(self.pid, self.how)
told = Told()
"""


@pytest.mark.parametrize("processes", ["1", "2"])
async def test_a_second_signal_that_comes_as_the_process_ends_changes_nothing(
    queue: Queue, shared_server: RunningServer, processes: str
) -> None:
    """When nothing of the worker is left, and Python clears its modules away."""
    await queue.redis.xadd(queue.stream, {"seconds": "0"})
    settings = {"CONCURRENCY": processes, "PROCESSES": processes}
    async with running(TOLD_AS_IT_ENDS + PROGRAM, shared_server, {}, **settings) as child:
        await begun(child, 1)
        child.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(child.wait(), 10) == 0


async def test_a_request_for_metrics_that_is_under_way_at_the_end_is_no_error(
    queue: Queue, shared_server: RunningServer
) -> None:
    await queue.redis.xadd(queue.stream, {"seconds": "0"})
    port = free_port()
    async with running(ALL_IS_SAID + PROGRAM, shared_server, {}, METRICS_PORT=str(port)) as child:
        assert child.stdout
        await child.stdout.readuntil(b"begun\n")
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /met")
        await scrape(port)  # by now the other was accepted as well
        child.send_signal(signal.SIGTERM)
        rest = (await asyncio.wait_for(child.stdout.read(), 20)).decode()
        writer.close()
    assert "acked" in rest and "Traceback" not in rest

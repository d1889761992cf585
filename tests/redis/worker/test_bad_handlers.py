"""Handlers and machines that do not behave: the worker, or the next one, does what is left."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import time
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from streamqueue import Context, Retry
from streamqueue import Queue as Producer
from tests.redis.queue import Queue
from tests.redis.servers.process import RunningServer
from tests.redis.worker.pod import until, working
from tests.redis.worker.program import running, said
from tests.redis.worker.stores import claim, owners, store

pytestmark = [pytest.mark.usefixtures("short_reads"), pytest.mark.process]

PROGRAM = """
import asyncio, os, time
from streamqueue import Worker
worker = Worker()
def say(line):
    os.write(1, (line + "\\n").encode())  # in one piece, whatever another process says
def misbehave(task, ctx):
    say(f"{task['how']} {ctx.attempt}")
    if ctx.attempt > 1:
        return
    if task["how"] == "exits":
        os._exit(3)
    if task["how"] == "blocks":
        while not os.path.exists(task["until"]):
            time.sleep(0.02)
    if task["how"] == "forks":
        say("child" if os.fork() == 0 else "parent")
async def in_loop(task, ctx):
    misbehave(task, ctx)
    if task["how"] == "forks":
        await asyncio.sleep(0.3)
worker.task({"plain": misbehave, "async": in_loop}[os.environ["KIND"]])
worker.run()
"""


def process(
    server: RunningServer, kind: str, **settings: str
) -> AbstractAsyncContextManager[asyncio.subprocess.Process]:
    return running(PROGRAM, server, {"KIND": kind}, **{"VISIBILITY_TIMEOUT": "0.6", **settings})


HALF = "\ud83d"  # of a surrogate pair: JSON may bring it, no UTF-8 can hold it


@pytest.mark.parametrize("how", ["raises", "returns", "emits", "emits to"])
async def test_text_that_cannot_be_written_fails_its_task_alone(
    queue: Queue, shared_server: RunningServer, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("streamqueue.task"), "disabled", True)  # pytest could not pass it on

    async def handle(task: dict[str, str], ctx: Context) -> dict[str, str] | None:
        if task["task"] == "1":
            return None
        if how == "raises":
            raise FileNotFoundError(HALF)
        if how == "emits":
            ctx.emit("{orders}:other", {HALF: "x"})
        if how == "emits to":
            ctx.emit("{orders}:" + HALF, {"x": "x"})
        return {"text": HALF} if how == "returns" else None

    await queue.add(2)
    async with working(
        shared_server.url, handle, concurrency=2, max_deliveries=1, next_stream="{orders}:next"
    ) as worker:
        await until(lambda: worker.counters.acked == 1 and worker.counters.dead == 1, "both")
    (letter,) = await queue.dead()
    assert letter["task"] == "0" and letter["sq-cause"]


async def line(child: asyncio.subprocess.Process) -> str:
    (words,) = await said(child, 1)
    return " ".join(words)


async def ended(child: asyncio.subprocess.Process) -> None:
    child.send_signal(signal.SIGTERM)
    assert await asyncio.wait_for(child.wait(), 20) == 0


async def until_done(queue: Queue) -> None:
    """Nothing waits, runs or is parked."""

    async def is_done() -> bool:
        found = await queue.snapshot()
        return not (found.pending or found.parked or found.due or found.undelivered)

    await until(is_done, "no work left")


async def test_a_handler_that_blocks_the_loop_loses_its_lease_and_changes_nothing_after(
    queue: Queue, shared_server: RunningServer, tmp_path: Path
) -> None:
    over = tmp_path / "over"
    await queue.redis.xadd(queue.stream, {"how": "blocks", "until": str(over)})
    async with process(shared_server, "async", BACKOFF_INITIAL="0.1") as blocked:
        assert await line(blocked) == "blocks 1"
        async with process(shared_server, "async") as other:
            assert await line(other) == "blocks 2", "another worker has it while the first still blocks"
            over.touch()
            await until_done(queue)
            await ended(blocked)
            await ended(other)
    assert await queue.dead() == [] and await owners(queue) == {}


async def test_a_handler_that_ends_its_process_is_charged_and_stops_at_its_limit(
    queue: Queue, shared_server: RunningServer
) -> None:
    await queue.redis.xadd(queue.stream, {"how": "exits"})
    async with process(shared_server, "plain", MAX_DELIVERIES="1") as first:
        assert await line(first) == "exits 1"
        assert await asyncio.wait_for(first.wait(), 20) == 3
    async with process(shared_server, "plain", MAX_DELIVERIES="1") as second:
        await until_done(queue)
        await ended(second)
    letters = await queue.dead()
    assert (letters[0]["sq-reason"], letters[0]["sq-cause"]) == ("max-deliveries", "lease-expired")


@pytest.mark.parametrize("kind", ["plain", "async"])
async def test_a_handler_that_forks_and_returns_twice_is_done_once(
    queue: Queue, shared_server: RunningServer, kind: str
) -> None:
    """The copy would settle the task a second time, and read the worker's replies from their common sockets."""
    for _ in range(3):
        await queue.redis.xadd(queue.stream, {"how": "forks"})
    async with process(shared_server, kind, TIMEOUT="5", VISIBILITY_TIMEOUT="30") as child:
        said = [await line(child) for _ in range(9)]
        await until_done(queue)
        await ended(child)
        assert child.stdout
        # Its end means that no copy is left: each holds the other side of this pipe.
        assert await asyncio.wait_for(child.stdout.read(), 10) == b""
    assert sorted(said) == ["child"] * 3 + ["forks 1"] * 3 + ["parent"] * 3


async def test_a_payload_of_ten_megabytes(queue: Queue, shared_server: RunningServer) -> None:
    payload = os.urandom(10 << 20)
    seen: list[bytes] = []

    async def handle(task: bytes) -> None:
        seen.append(task)

    await queue.redis.xadd(queue.stream, {"body": payload})
    async with working(shared_server.url, handle) as worker:
        await until(lambda: worker.counters.acked == 1, "the task")
    assert seen == [payload]


@pytest.mark.parametrize("ahead", [3600.0, -3600.0])
async def test_a_clock_an_hour_off_changes_no_lease_delay_or_time(
    queue: Queue, shared_server: RunningServer, monkeypatch: pytest.MonkeyPatch, ahead: float
) -> None:
    true_time = time.time
    monkeypatch.setattr(time, "time", lambda: true_time() + ahead)
    starts: list[float] = []
    enqueued: list[float] = []

    async def handle(task: dict[str, str], ctx: Context) -> None:
        starts.append(time.monotonic())
        enqueued.append(ctx.enqueued_at)
        if len(starts) == 1:
            raise Retry("later", after=0.5)
        await asyncio.sleep(2.0)  # longer than a lease without a heartbeat

    async with Producer(shared_server.url, queue.stream) as producer:
        sent = time.monotonic()
        await producer.send({"n": 1}, delay=0.5)
    thief = store(queue.redis, "thief", visibility_timeout=1.0)
    async with working(shared_server.url, handle, visibility_timeout=1.0) as worker:
        while worker.counters.acked == 0:
            assert await claim(thief) == []
            await asyncio.sleep(0.05)
            assert time.monotonic() < sent + 20
    assert starts[0] - sent >= 0.5 and starts[1] - starts[0] >= 0.5 and len(starts) == 2
    assert all(abs(each - true_time()) < 60 for each in enqueued), "by Redis's clock"
    assert worker.counters.stolen == 0

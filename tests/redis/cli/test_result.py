"""`streamqueue result`: what became of a task, with and without results kept."""

from __future__ import annotations

import asyncio
import datetime
import json
import os
import sys

import pytest
from redis.asyncio import Redis

from streamqueue import Context, DeadLetter, State
from streamqueue import Queue as Producer
from tests.redis.cli.conftest import Cli
from tests.redis.queue import Queue
from tests.redis.servers.process import RunningServer
from tests.redis.worker.pod import PATIENCE, until, working


async def state(cli: Cli, task: str) -> str:
    return (await cli("result", task, "-o", "name")).strip()


async def test_of_a_plain_loops_task_waiting_and_pending_can_be_told(cli: Cli, queue: Queue) -> None:
    first, second = await queue.add(2)
    assert [await state(cli, each) for each in (first, second)] == ["waiting", "waiting"]
    await queue.read("pod-1", count=1)
    found = await cli.json("result", first)
    assert (found["state"], found["worker"], found["result"]) == ("pending", "pod-1", None)
    assert await state(cli, second) == "waiting"
    await queue.ack(first)
    await queue.redis.xdel(queue.stream, second)
    assert [await state(cli, each) for each in (first, second, "9-9", "no-such-id")] == ["unknown"] * 4


async def test_ids_beyond_what_a_double_holds_are_told_apart(cli: Cli, queue: Queue) -> None:
    ids = [f"{2**63}-{2**63 + n}" for n in range(2)]
    for entry in ids:
        await queue.redis.xadd(queue.stream, {"n": "1"}, id=entry)
    await queue.read("pod-1", count=1)
    await queue.ack(ids[0])
    assert [await state(cli, each) for each in ids] == ["unknown", "waiting"]


async def test_sent_tasks_are_known_by_their_own_ids(cli: Cli, queue: Queue) -> None:
    async with Producer(cli.url, queue.stream) as producer:
        await producer.send({"n": 1}, id="now")
        await producer.send({"n": 1}, id="later", delay=60)
        assert [await state(cli, each) for each in ("now", "later")] == ["waiting", "waiting"]
        await queue.read("pod-1")
        assert (await producer.result("now")).state is State.PENDING
        assert (await producer.result("later")).state is State.WAITING


async def test_a_task_is_followed_to_its_end(cli: Cli, queue: Queue, shared_server: RunningServer) -> None:
    go_on = asyncio.Event()

    async def handle(task: dict[str, str], ctx: Context) -> object:
        ctx.progress(0.25, "reading")
        await go_on.wait()
        if task["task"] == "1":
            raise DeadLetter("no such customer")
        return {"pages": 3}

    good, bad = await queue.add(2)
    async with working(shared_server.url, handle, results_ttl=60, concurrency=2) as worker:
        async with asyncio.timeout(20):
            while (found := await cli.json("result", good))["progress"] is None:  # noqa: ASYNC110 - the event is on the server
                await asyncio.sleep(0.02)
        assert (found["state"], found["progress"], found["message"]) == ("running", 0.25, "reading")
        assert found["worker"].startswith("pod.") and found["since"]
        assert "25% reading" in await cli("result", good)
        ends, began = await queue.now(), seconds(found["since"])
        go_on.set()
        await until(lambda: worker.counters.acked + worker.counters.dead == 2, "both")
    found = await cli.json("result", good)
    assert (found["state"], found["result"], found["error"]) == ("done", {"pages": 3}, None)
    assert began <= ends <= seconds(found["since"]) + 0.001
    assert '{"pages": 3}' in await cli("result", good) and "25%" not in await cli("result", good)
    assert [title in await cli("result", good, "-o", "wide") for title in ("SINCE", "WORKER", "ATTEMPT")] == [True] * 3
    found = await cli.json("result", bad)
    assert (found["state"], found["result"], found["error"]) == ("dead", None, "no such customer")
    assert "no such customer" in await cli("result", bad)


def seconds(since: str) -> float:
    return datetime.datetime.fromisoformat(since).timestamp()


@pytest.mark.parametrize("idle", [True, False], ids=["blocked read", "exchange"])
async def test_since_when_a_task_runs_is_known_however_it_was_taken(
    cli: Cli, queue: Queue, redis: Redis, shared_server: RunningServer, idle: bool
) -> None:
    """A worker without work blocks on the stream; a busy one takes tasks as it settles others."""
    runs, go_on = asyncio.Event(), asyncio.Event()

    async def handle(task: dict[str, str], ctx: Context) -> None:
        runs.set()
        await go_on.wait()

    async def blocks() -> bool:
        return (await redis.info("clients"))["blocked_clients"] > 0

    tasks = [] if idle else await queue.add()
    async with working(shared_server.url, handle, results_ttl=60):
        if idle:
            await until(blocks, "the worker waits")
            tasks = await queue.add()
        await asyncio.wait_for(runs.wait(), PATIENCE)
        found = await cli.json("result", tasks[0])
        go_on.set()
    assert (found["state"], found["attempt"]) == ("running", 1) and found["since"]


async def test_a_result_that_the_terminal_cannot_show_is_escaped(
    cli: Cli, queue: Queue, shared_server: RunningServer
) -> None:
    """Half of a surrogate pair is in no encoding, and JSON may hold it."""

    async def handle(task: dict[str, str], ctx: Context) -> str:
        return "Wörter \ud800"

    (task,) = await queue.add()
    async with working(shared_server.url, handle, results_ttl=60) as worker:
        await until(lambda: worker.counters.acked == 1, "the task")
    where = ["--redis", cli.url, "--stream", queue.stream, "--group", queue.group]
    for encoding in ("utf-8", "latin-1"):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "streamqueue.cli", "result", *where, task, "-o", "json"),
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONIOENCODING": encoding},
        )
        out, _ = await process.communicate()
        assert (process.returncode, json.loads(out.decode(encoding))["result"]) == (0, "Wörter \ud800"), encoding


async def test_a_queue_that_is_not_there_is_no_error(cli: Cli) -> None:
    assert (await cli("result", "1-1", "-o", "name", stream="none")).strip() == "unknown"
    with pytest.raises(AssertionError):
        await cli("result")


async def test_a_dead_task_that_is_redriven_waits_again(cli: Cli, queue: Queue, shared_server: RunningServer) -> None:
    async def handle(task: dict[str, str], ctx: Context) -> None:
        raise DeadLetter("no such customer")

    (task,) = await queue.add()
    async with working(shared_server.url, handle, results_ttl=60) as worker:
        await until(lambda: worker.counters.dead == 1, "the dead letter")
    assert await state(cli, task) == "dead"
    await cli("dlq", "redrive")
    assert await state(cli, task) == "waiting"

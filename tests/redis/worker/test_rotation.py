"""A password that changes under running workers: they read the file anew, and no task is lost or done twice."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import time
from collections import Counter
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from redis.asyncio import Redis

from streamqueue import Worker
from streamqueue.streams import connect
from streamqueue.streams.connection import ServerChanged
from streamqueue.worker import consumer, relaying
from tests.redis.queue import Queue
from tests.redis.servers.process import RunningServer
from tests.redis.worker.handler_server import handling
from tests.redis.worker.handler_server import running as runner_at
from tests.redis.worker.pod import PATIENCE, until, working
from tests.redis.worker.program import running, said

# What is asked of the server here is AUTH.
pytestmark = [pytest.mark.process, pytest.mark.usefixtures("short_reads")]

FIRST, SECOND = "first-hunter2", "second-hunter2"
NAME = "STREAMQUEUE_REDIS_URL_FILE"
KNOCKS = 5  # after the first; the pauses between them, but for one of a look at outboxes, are more than half a second

PROGRAM = """
import os, time
from streamqueue import Worker
worker = Worker()
@worker.task
def handle(task):
    os.write(1, f"{task['task']} {os.getpid()}\\n".encode())
    time.sleep(float(task.get("seconds", 0)))
worker.run()
"""


class File:
    """The mounted Secret: what is written is there at once or not at all, as the kubelet does it."""

    def __init__(self, path: Path, server: RunningServer) -> None:
        self.path = path
        self._url = server.url

    def url(self, login: str) -> str:
        return self._url.replace("://", f"://{login}@" if login else "://")

    def write(self, login: str) -> None:
        self.hold(self.url(login))

    def hold(self, text: str) -> None:
        beside = self.path.with_suffix(".new")
        beside.write_text(text)
        os.replace(beside, self.path)


@pytest.fixture
def file(tmp_path: Path, own_server: RunningServer) -> File:
    return File(tmp_path / "url", own_server)


async def let_in(admin: Redis, user: str, password: str) -> None:
    """This password alone from now on; who is connected is not any more."""
    await admin.execute_command("ACL", "SETUSER", user, "on", "resetpass", f">{password}", "~*", "+@all")
    await admin.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")


async def until_all_is_acknowledged(queue: Queue) -> None:
    async with asyncio.timeout(PATIENCE):
        while (look := await queue.snapshot()).undelivered + look.pending:  # noqa: ASYNC110 - the event is on the server
            await asyncio.sleep(0.02)


async def connections(admin: Redis) -> int:
    return int((await admin.info("stats"))["total_connections_received"])


async def until_refused(admin: Redis, count: int) -> None:
    """That many connections more, of a worker that is refused each time."""
    base = await connections(admin)
    async with asyncio.timeout(PATIENCE):
        while await connections(admin) < base + count:  # noqa: ASYNC110 - the event is on the server
            await asyncio.sleep(0.02)


@pytest.mark.parametrize(
    ("user", "before", "after"),
    [("app", f"app:{FIRST}", f"app:{SECOND}"), ("default", "", f":{SECOND}")],
    ids=["another password", "the first password"],
)
async def test_a_running_worker_takes_up_a_new_password(
    own_server: RunningServer, file: File, user: str, before: str, after: str
) -> None:
    file.write(before)
    async with connect(own_server.url) as admin:
        queue = Queue(admin)
        await queue.create()
        if before:
            await let_in(admin, user, FIRST)
        async with running(PROGRAM, own_server, {}, REDIS_URL="", REDIS_URL_FILE=str(file.path)) as worker:

            async def add(name: str, seconds: float = 0) -> None:
                await admin.xadd(queue.stream, {"task": name, "seconds": str(seconds)})

            await add("before")
            lines = await said(worker, 1)
            await add("during", seconds=1)
            lines += await said(worker, 1)
            await let_in(admin, user, SECOND)
            await add("after")
            await until_refused(admin, 1)
            began = time.monotonic()
            await until_refused(admin, KNOCKS)
            assert time.monotonic() - began > 0.5, "it knocks without a pause"
            file.write(after)
            lines += await said(worker, 1)
            await until_all_is_acknowledged(queue)
            worker.send_signal(signal.SIGTERM)
            rest, _ = await asyncio.wait_for(worker.communicate(), PATIENCE)
        assert worker.returncode == 0
    assert (lines, rest) == ([[name, str(worker.pid)] for name in ("before", "during", "after")], b"")


async def test_processes_of_one_worker_take_it_up_too(own_server: RunningServer, file: File) -> None:
    file.write(f"app:{FIRST}")
    settings = {"REDIS_URL": "", "REDIS_URL_FILE": str(file.path), "CONCURRENCY": "2", "PROCESSES": "2"}
    async with connect(own_server.url) as admin:
        queue = Queue(admin)
        await queue.create()
        await let_in(admin, "app", FIRST)

        async def both(worker: asyncio.subprocess.Process) -> set[str]:
            for name in ("a", "b"):
                await admin.xadd(queue.stream, {"task": name, "seconds": "0.5"})
            return {pid for _, pid in await said(worker, 2)}

        async with running(PROGRAM, own_server, {}, **settings) as worker:
            pids = await both(worker)
            await until_all_is_acknowledged(queue)
            await let_in(admin, "app", SECOND)
            file.write(f"app:{SECOND}")
            assert await both(worker) == pids and len(pids) == 2
            await until_all_is_acknowledged(queue)


async def test_the_runner_takes_it_up_and_the_handler_notices_nothing(
    own_server: RunningServer, file: File, caplog: pytest.LogCaptureFixture
) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response()

    file.hold("")
    async with connect(own_server.url) as admin, handling(answer) as handler:
        queue = Queue(admin)
        await queue.create()
        await let_in(admin, "app", FIRST)
        async with runner_at("", handler.url, redis_url_file=str(file.path)) as runner:
            await until(lambda: f"{NAME}: {file.path} is empty" in caplog.text, "what it waits for is said")
            file.write(f"app:{FIRST}")
            await queue.add()
            await until(lambda: runner.counters.acked == 1, "a task before")
            await let_in(admin, "app", SECOND)
            await queue.add()
            await until(lambda: "Redis refused the user name or password" in caplog.text, "it is said")
            file.write(f"app:{SECOND}")
            await until(lambda: runner.counters.acked == 2, "a task after")
        assert handler.attempts == ["1", "1"]
    assert "hunter2" not in caplog.text


def at_work(file: File, function: Any, **more: Any) -> AbstractAsyncContextManager[Worker]:
    return working("", function, redis_url_file=str(file.path), **more)


async def nothing(task: dict[str, str]) -> None: ...


@pytest.mark.parametrize(
    ("content", "says"), [(None, "does not exist"), ("", "is empty"), (f"redis://app:{FIRST}", "holds no Redis URL")]
)
async def test_a_file_that_holds_no_url_is_waited_for(
    own_server: RunningServer, file: File, caplog: pytest.LogCaptureFixture, content: str | None, says: str
) -> None:
    if content is not None:
        file.hold(content)
    async with connect(own_server.url) as admin:
        queue = Queue(admin)
        await queue.create()
        await queue.add()
        async with at_work(file, nothing):
            await until(lambda: f"{NAME}: {file.path} {says}" in caplog.text, "at the start")
        # A stop ended the waiting.
        async with at_work(file, nothing) as worker:
            file.write("")
            await until(lambda: worker.counters.acked == 1, "once it is there")
            caplog.clear()
            if content is None:
                file.path.unlink()
            else:
                file.hold(content)
            await admin.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            await queue.add()
            await until(lambda: caplog.text.count(f"{NAME}: {file.path} {says}") > 2, "under way, and again")
            file.write("")
            await until(lambda: worker.counters.acked == 2, "once it is back")
    assert "hunter2" not in caplog.text


@pytest.mark.parametrize("busy", [False, True])
async def test_a_url_that_leads_elsewhere_ends_the_worker_when_it_must_connect(
    own_server: RunningServer, file: File, busy: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next process goes there. What runs here has its time, though it can be acknowledged by nobody."""
    monkeypatch.setattr(consumer, "LONGEST_PAUSE", 0.1)
    begun, ended = asyncio.Event(), asyncio.Event()

    async def handle(task: dict[str, str]) -> None:
        begun.set()
        if busy:
            await asyncio.sleep(1)
        ended.set()

    file.write("")
    async with connect(own_server.url) as admin:
        queue = Queue(admin)
        await queue.create()
        worker = Worker(redis_url_file=str(file.path), stream=queue.stream, consumer="pod", grace=2)
        worker.task(handle)
        serving = asyncio.create_task(worker.serve())
        await queue.add()
        await asyncio.wait_for((begun if busy else ended).wait(), PATIENCE)
        file.hold(own_server.url.replace("/0", "/1"))
        await admin.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        with pytest.raises(ServerChanged, match="leads to another server than at the start"):
            await asyncio.wait_for(serving, PATIENCE)
    assert ended.is_set()


async def test_results_for_another_server_go_on_when_its_password_is_new(
    redis: Redis,
    shared_server: RunningServer,
    own_server: RunningServer,
    file: File,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(relaying, "INTERVAL", 0.2)
    monkeypatch.setattr(relaying, "PAUSE", 0.1)
    caplog.set_level(logging.INFO)

    async def echo(task: dict[str, str]) -> dict[str, str]:
        return {"of": task["task"]}

    queue = Queue(redis)
    await queue.create()
    ids: list[str] = []
    async with connect(own_server.url) as far:

        async def until_arrived() -> None:
            ids.extend(await queue.add(5))
            async with asyncio.timeout(PATIENCE):
                while await far.xlen("paid") < len(ids):  # noqa: ASYNC110 - the event is on the server
                    await asyncio.sleep(0.02)

        there = {"next_stream": "paid", "next_redis_url_file": str(file.path)}
        async with working(shared_server.url, echo, **there):
            ids += await queue.add(5)
            await until_all_is_acknowledged(queue)
            await until(lambda: f"STREAMQUEUE_NEXT_REDIS_URL_FILE: {file.path} does not exist" in caplog.text, "why")
            await let_in(far, "app", FIRST)
            file.write(f"app:{FIRST}")
            await until_arrived()
            await let_in(far, "app", SECOND)
            file.write(f"app:{SECOND}")
            await until_arrived()
        came = Counter(fields[b"sq-id"].decode() for _, fields in await far.xrange("paid"))
    assert came == dict.fromkeys(ids, 1)
    assert "hunter2" not in caplog.text

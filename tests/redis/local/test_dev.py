"""A manifest on a laptop: real processes on a real server, from the program as people call it."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from redis.asyncio import Redis

from streamqueue.local.fleet import named_after
from streamqueue.local.run import environment
from tests.redis.queue import Queue
from tests.redis.servers.install import Server
from tests.redis.servers.process import RunningServer
from tests.redis.worker.pod import PATIENCE, until
from tests.unit.manifests.build import SECRET
from tests.unit.manifests.build import spec as queue_spec

pytestmark = pytest.mark.on("valkey-9.1")  # what is looked at are processes
PROGRAM = str(Path(sys.executable).with_name("streamqueue"))

MANIFEST = """
apiVersion: streamqueue.dev/v1alpha1
kind: StreamQueue
metadata: {name: orders}
spec:
  redis: {url: "redis://redis.shop:6379/0"}
  stream: orders
  group: workers
  handler: {image: "registry.example/orders:1", timeout: 20s}
  delivery: {visibilityTimeout: 10m, backoff: {initial: 1s}}
  scaling: {maxReplicas: 50, targetBacklog: 3, scaleDown: {delay: 1s}}
"""

# Counts what it did where the test can see it; the task "slow" lasts, and says so.
SDK = """
import asyncio, os
from redis.asyncio import Redis
from streamqueue import Worker
worker = Worker()
seen = Redis.from_url(os.environ["STREAMQUEUE_REDIS_URL"])
@worker.task
async def handle(task, ctx):
    if task["task"].startswith("slow"):
        await seen.rpush("started", f"{os.getpid()}")
        await asyncio.sleep(float(task["task"].split()[1]) if ctx.attempt == 1 else 0)
    await seen.hincrby("done", task["task"], 1)
worker.run()
"""

ECHO = """
from streamqueue import Worker
worker = Worker()
@worker.task
def handle(task): return task
worker.run()
"""

# A loop as the tutorials have it.
LOOP = """
import os, redis, signal, sys
client = redis.Redis.from_url(os.environ["STREAMQUEUE_REDIS_URL"])
where = os.environ["STREAMQUEUE_STREAM"], os.environ["STREAMQUEUE_GROUP"]
signal.signal(signal.SIGTERM, lambda *_: sys.exit())
while True:
    for _, entries in client.xreadgroup(where[1], os.environ["STREAMQUEUE_CONSUMER"], {where[0]: ">"}, 1, 200):
        for entry, fields in entries:
            if fields[b"task"] == b"deadly" and b"sq-attempt" not in fields:
                os._exit(7)
            client.hincrby("done", fields[b"task"], 1)
            client.xack(*where, entry)
"""

# A handler that knows nothing of Redis; told to, it dies of its first attempt.
SERVER = """
import json, os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        task = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["task"]
        if task == "deadly" and self.headers["ce-attempt"] == "1":
            os._exit(3)
        with open("done", "a") as done:
            print(task, "knows" if any("STREAMQUEUE" in name for name in os.environ) else "knows nothing", file=done)
        self.send_response(204)
        self.end_headers()
    def log_message(self, *_): pass
ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""


class Dev:
    """`streamqueue dev`, running; what it printed."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.out = ""
        self._news = asyncio.Condition()
        self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self.process.stdout
        while chunk := await self.process.stdout.read(65536):
            async with self._news:
                self.out += chunk.decode()
                self._news.notify_all()

    async def says(self, pattern: str) -> re.Match[str]:
        """Wait for a text."""
        async with self._news, asyncio.timeout(3 * PATIENCE):
            await self._news.wait_for(lambda: re.search(pattern, self.out))
        found = re.search(pattern, self.out)
        assert found
        return found

    async def end(self, signum: signal.Signals = signal.SIGINT) -> int:
        """Ctrl-C, or another signal, and how it ended."""
        self.process.send_signal(signum)
        code = await asyncio.wait_for(self.process.wait(), 3 * PATIENCE)
        await self._reader
        return code


@asynccontextmanager
async def dev(
    folder: Path, source: str, *words: str, protocol: str = "redis", more: str = "", **environment: str
) -> AsyncIterator[Dev]:
    """`more`: further lines of the manifest."""
    (folder / "queue.yaml").write_text(MANIFEST.replace("timeout: 20s", f"timeout: 20s, protocol: {protocol}") + more)
    (folder / "handler.py").write_text(source)
    command = [PROGRAM, "dev", "-f", "queue.yaml", "handler.py", "--workers", "4", *words]
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=folder,
        env={**os.environ, **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    running = Dev(process)
    try:
        yield running
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


async def until_done(redis: Redis, tasks: int) -> dict[bytes, bytes]:
    async def are_done() -> dict[bytes, bytes]:
        found: dict[bytes, bytes] = await redis.hgetall("done")
        return found if len(found) >= tasks else {}

    return await until(are_done, f"{tasks} tasks done", 3 * PATIENCE)


async def started(redis: Redis) -> int:
    """The process that has begun a slow task."""
    return int((await until(lambda: redis.lrange("started", 0, 0), "a slow task", 3 * PATIENCE))[0])


async def test_from_zero_and_back(redis: Redis, shared_server: RunningServer, queue: Queue, tmp_path: Path) -> None:
    async with dev(tmp_path, SDK, "--redis", shared_server.url) as running:
        await running.says(r"At most 4 workers on this machine, of the 50 that maxReplicas allows")
        await running.says(r"Idle: 0: nothing")
        async with redis.pipeline() as pipe:  # at once, so that one look sees them all
            for number in range(12):
                pipe.xadd("orders", {"task": str(number)})
            await pipe.execute()
        await running.says(r"ScalingUp: 0 -> 4: 12 waiting")
        done = await until_done(redis, 12)
        assert set(done.values()) == {b"1"}
        await running.says(r"-> 0: 0 waiting and 0 pending")
        assert await running.end() == 0
    assert (await redis.xpending("orders", "workers"))["pending"] == 0


@pytest.mark.parametrize(("source", "task"), [(SDK, "slow 60"), (LOOP, "deadly")], ids=["sdk", "loop"])
async def test_a_killed_workers_task_is_done_by_another_at_once(
    redis: Redis, shared_server: RunningServer, queue: Queue, tmp_path: Path, source: str, task: str
) -> None:
    """The visibility timeout is ten minutes: only the process's end can bring the task back."""
    async with dev(tmp_path, source, "--redis", shared_server.url) as running:
        await redis.xadd("orders", {"task": task})
        await queue.add(4)
        if source == SDK:
            os.kill(await started(redis), signal.SIGKILL)
        await running.says(r"orders-\w+-\d \| ended " + ("by signal 9" if source == SDK else "with exit code 7"))
        await running.says(r"1 task of dead or failed workers: back at work")
        await until_done(redis, 5)
        assert await running.end() == 0
    assert (await redis.xpending("orders", "workers"))["pending"] == 0


@pytest.mark.on("redis-7.0")  # nothing of it is the server's
async def test_a_handler_that_answers_http_has_a_runner_beside_it(
    redis: Redis, shared_server: RunningServer, queue: Queue, tmp_path: Path
) -> None:
    (tmp_path / "done").touch()
    async with dev(tmp_path, SERVER, "--redis", shared_server.url, protocol="http") as running:
        await queue.add(3)
        await redis.xadd("orders", {"task": "deadly"})
        await running.says(r"the handler ended with 3, and is started again")
        await until(lambda: "deadly" in (tmp_path / "done").read_text(), "the deadly task", 3 * PATIENCE)
        await running.says(r"-> 0: 0 waiting and 0 pending")
        assert await running.end() == 0
    done = sorted((tmp_path / "done").read_text().splitlines())
    assert done == [f"{task} knows nothing" for task in ("0", "1", "2", "deadly")]


@pytest.mark.on("redis-7.0")  # nothing of it is the server's
async def test_results_for_another_endpoint_stay_on_the_one_redis(
    redis: Redis, shared_server: RunningServer, queue: Queue, tmp_path: Path
) -> None:
    more = '  next: {stream: %s, redis: {url: "redis://results.shop:6379/0"}}\n'
    words = ("--redis", shared_server.url)
    async with dev(tmp_path, ECHO, *words, protocol="sdk", more=more % "paid") as running:
        await queue.add(1)
        async with asyncio.timeout(3 * PATIENCE):
            while not await redis.xread({"paid": "0"}, block=1000):
                pass
        assert await running.end() == 0
    ((_, fields),) = await redis.xrange("paid")
    assert fields[b"task"] == b"0"
    async with dev(tmp_path, ECHO, *words, protocol="sdk", more=more % "orders") as running:
        await running.says("spec.next.stream is the queue's own name.*name another stream")
        assert await running.process.wait() == 2


@pytest.mark.on("redis-7.0")  # nothing of it is the server's
async def test_one_queue_of_a_pipelines_file_is_run(redis: Redis, shared_server: RunningServer, tmp_path: Path) -> None:
    more = "---" + MANIFEST.replace("orders", "paid")
    async with dev(
        tmp_path, SDK, "--queue", "paid", "--redis", shared_server.url, protocol="sdk", more=more
    ) as running:
        await redis.xadd("paid", {"task": "0"})
        await until_done(redis, 1)
        assert await running.end() == 0
    assert not await redis.exists("orders")


@pytest.mark.on("redis-7.0")  # nothing of it is the server's
async def test_no_two_runs_have_workers_of_one_name(
    redis: Redis, shared_server: RunningServer, queue: Queue, tmp_path: Path
) -> None:
    """Where two are on one queue, each would hand on what the other's workers do when one of its own ends."""
    for run in (1, 2):
        async with dev(tmp_path, LOOP, "--redis", shared_server.url) as running:
            await redis.xadd("orders", {"task": f"{run}"})
            await until_done(redis, run)
            assert await running.end() == 0
    names = [row["name"].decode() for row in await redis.xinfo_consumers("orders", "workers")]
    assert len(names) == 2 and all(re.fullmatch("orders-[0-9a-f]{4}-1", name) for name in names), names


async def ended_by(signum: signal.Signals, redis: Redis, url: str, folder: Path, *, task: str) -> str:
    """What it prints when the signal comes while a worker has `task`, which is done then; the worker is gone."""
    async with dev(folder, SDK, "--redis", url, protocol="sdk") as running:
        await redis.xadd("orders", {"task": task})
        pid = await started(redis)
        assert await running.end(signum) == 0
    assert await redis.hgetall("done") == {task.encode(): b"1"}
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    return running.out


async def test_ctrl_c_lets_workers_finish(
    redis: Redis, shared_server: RunningServer, queue: Queue, tmp_path: Path
) -> None:
    assert "Stopping 1 worker" in await ended_by(signal.SIGINT, redis, shared_server.url, tmp_path, task="slow 2")


@pytest.mark.on("redis-7.0")  # nothing of it is the server's
async def test_ctrl_c_once_more_ends_workers_at_once_and_hands_back_what_they_held(
    redis: Redis, shared_server: RunningServer, queue: Queue, tmp_path: Path
) -> None:
    async with dev(tmp_path, SDK, "--redis", shared_server.url) as running:
        await redis.xadd("orders", {"task": "slow 600"})
        pid = await started(redis)
        running.process.send_signal(signal.SIGINT)
        await running.says("Ctrl-C again ends them at once")
        assert await running.end() == 0
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    (holder,) = (await redis.xpending("orders", "workers"))["consumers"]
    assert holder["name"] == b"streamqueue:parked", "and comes again after the backoff, as of any worker that died"


@pytest.mark.on("redis-7.0")  # nothing of it is the server's
async def test_a_terminal_that_is_closed_leaves_no_workers_behind(
    redis: Redis, shared_server: RunningServer, queue: Queue, tmp_path: Path
) -> None:
    await ended_by(signal.SIGHUP, redis, shared_server.url, tmp_path, task="slow 1")


@pytest.mark.on("redis-7.0")
async def test_whose_redis_it_is_is_said_where_the_shell_has_one(
    shared_server: RunningServer, queue: Queue, tmp_path: Path
) -> None:
    """Its tasks, of a real queue perhaps, are done here."""
    async with dev(tmp_path, SDK, protocol="sdk", STREAMQUEUE_REDIS_URL=shared_server.url) as running:
        await running.says("Redis for this run: that of STREAMQUEUE_REDIS_URL, whose tasks are done here")
        await running.says("Idle: 0")
        assert await running.end() == 0
    async with dev(tmp_path, SDK, "--redis", shared_server.url, protocol="sdk") as running:
        await running.says("Idle: 0")
        assert await running.end() == 0
    assert "whose tasks" not in running.out


@pytest.mark.on("redis-7.0")
async def test_what_a_pod_has_in_its_environment_is_not_for_the_workers(
    redis: Redis, shared_server: RunningServer, queue: Queue, tmp_path: Path
) -> None:
    """As in a shell of a worker pod: its file holds the URL of the Redis with the real tasks."""
    (tmp_path / "url").write_text("redis://127.0.0.1:1/0")
    pod = {"STREAMQUEUE_REDIS_URL_FILE": str(tmp_path / "url"), "STREAMQUEUE_NEXT_STREAM": "paid"}
    async with dev(tmp_path, SDK, "--redis", shared_server.url, protocol="sdk", **pod) as running:
        await queue.add(1)
        await until_done(redis, 1)
        assert await running.end() == 0
    assert not await redis.exists("paid")


async def test_a_handler_that_ends_at_once_is_not_started_in_a_loop(
    shared_server: RunningServer, queue: Queue, tmp_path: Path
) -> None:
    async with dev(tmp_path, "print('started'); raise SystemExit(3)", "--redis", shared_server.url) as running:
        await queue.add(1)
        began = time.monotonic()
        await running.says(r"(?s)(started.*){3}")
        await running.says(r"orders-\w+-1 \| ended with exit code 3; the next one starts in 1 s")
        await running.says(r"orders-\w+-2 \| ended with exit code 3; the next one starts in 2 s")
        assert time.monotonic() - began > 2  # a second, and two
        assert await running.end() == 0


async def test_with_a_server_of_its_own(server: Server, tmp_path: Path) -> None:
    """From the call to the first tasks done, printed: what a newcomer waits for."""
    command, *rest = server.command
    (tmp_path / "bin").mkdir()
    wrapped = " ".join([str(command), *map(str, rest)])
    (tmp_path / "bin" / "redis-server").write_text(f'#!/bin/sh\nexec {wrapped} "$@"\n')
    (tmp_path / "bin" / "redis-server").chmod(0o755)
    async with dev(tmp_path, SDK, PATH=f"{tmp_path / 'bin'}:{os.environ['PATH']}") as running:
        url = (await running.says(r"Redis for this run: (\S+)"))[1]
        async with Redis.from_url(url) as redis:
            for number in range(6):
                await redis.xadd("orders", {"task": str(number)})
            await until_done(redis, 6)
        assert await running.end() == 0
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2].partition("/")[0]))


async def test_without_a_server_it_says_what_to_install(server: Server, tmp_path: Path) -> None:
    async with dev(tmp_path, SDK, PATH="/nonexistent") as running:
        assert await asyncio.wait_for(running.process.wait(), PATIENCE) == 1
        assert (await running.says(r"apt install redis-server.*or give --redis URL"))[0]


@pytest.mark.parametrize("protocol", ["redis", "sdk", "http"])
def test_workers_get_the_url_of_this_machine_where_the_manifest_names_a_secret(protocol: str) -> None:
    there = {**SECRET, "mode": "cluster", "auth": "entra", "tls": {"caSecretRef": {"name": "ca", "key": "ca.crt"}}}
    variables = environment(queue_spec(**{"handler.protocol": protocol, "redis": there}), "redis://127.0.0.1:1/0")
    assert {name: value for name, value in variables.items() if "REDIS" in name} == {
        "STREAMQUEUE_REDIS_URL": "redis://127.0.0.1:1/0"
    }


def test_a_worker_is_told_by_its_consumer_whatever_the_queue_is_called() -> None:
    workers = ("my.orders-1", "my.orders-2")
    assert [named_after(each, workers) for each in ("my.orders-1", "my.orders-2.1f2e3d4c")] == list(workers)
    assert named_after("laptop", workers) not in workers

"""Three queues in a row whose workers are killed: each origin comes out exactly once."""

from __future__ import annotations

import asyncio
import os
import random
import sys
import time
from collections import Counter
from contextlib import AsyncExitStack

import pytest
from redis.asyncio import Redis

from streamqueue import Queue as Producer
from streamqueue.streams import Snapshot, SnapshotRequest, connect, take_snapshots
from tests.redis.servers.process import RunningServer

pytestmark = pytest.mark.process

TASKS = 200
KILLS = 12
WORKERS = 2  # per stage
PATIENCE = 120.0  # seconds; on a busy machine a worker takes seconds to start

PROGRAM = """
import asyncio, random
from streamqueue import Worker
worker = Worker()
@worker.task
async def handle(task):
    await asyncio.sleep(random.uniform(0, 0.02))
    return {"n": task["n"]}
worker.run()
"""


class Stage:
    """The worker processes of one queue."""

    def __init__(self, url: str, stream: str, following: str, **more: str) -> None:
        self._environment = {
            **os.environ,
            "STREAMQUEUE_REDIS_URL": url,
            "STREAMQUEUE_STREAM": stream,
            "STREAMQUEUE_NEXT_STREAM": following,
            "STREAMQUEUE_CONSUMER": f"pod-{stream}",
            "STREAMQUEUE_CONCURRENCY": "5",
            "STREAMQUEUE_VISIBILITY_TIMEOUT": "1",
            "STREAMQUEUE_MAX_DELIVERIES": "100",
            **more,
        }
        self._children: list[asyncio.subprocess.Process] = []

    async def start(self) -> None:
        for _ in range(WORKERS):
            await self._one()

    async def replace_one(self, chance: random.Random) -> None:
        child = self._children.pop(chance.randrange(len(self._children)))
        child.kill()
        await child.wait()
        await self._one()

    def check(self) -> None:
        """None ended by itself."""
        ended = [child.returncode for child in self._children if child.returncode is not None]
        assert not ended, f"workers ended with {ended}"

    async def end(self) -> None:
        for child in self._children:
            if child.returncode is None:
                child.kill()
            await child.wait()

    async def _one(self) -> None:
        command = (sys.executable, "-c", PROGRAM)
        self._children.append(await asyncio.create_subprocess_exec(*command, env=self._environment))


@pytest.mark.parametrize("names", ["{docs}:a {docs}:b {docs}:c {docs}:out", "a b c out"], ids=["one slot", "outboxes"])
async def test_each_origin_comes_out_exactly_once(one_node: RunningServer, names: str) -> None:
    *streams, out = names.split()
    async with AsyncExitStack() as stack:
        redis = await stack.enter_async_context(connect(one_node.url))
        await redis.flushall()
        stages = [Stage(one_node.url, stream, then) for stream, then in zip(streams, [*streams[1:], out], strict=True)]
        for stage in stages:
            stack.push_async_callback(stage.end)
            await stage.start()
        async with Producer(one_node.url, streams[0]) as producer:
            sent = await producer.send_many({"n": n} for n in range(TASKS))
        chance = random.Random(7)
        for _ in range(KILLS):
            await stages[chance.randrange(len(stages))].replace_one(chance)
            await asyncio.sleep(0.1)
        deadline = time.monotonic() + PATIENCE
        while (left := await in_hand(redis, streams)) or await redis.xlen(out) < TASKS:
            for stage in stages:
                stage.check()
            if time.monotonic() > deadline:
                break
            await asyncio.sleep(0.05)
        origins = Counter(fields[b"sq-origin"].decode() for _, fields in await redis.xrange(out))
    assert not left, "a task is still in somebody's hands"
    assert origins == Counter(task.id for task in sent), "an origin came out twice or never"


async def in_hand(redis: Redis, streams: list[str]) -> bool:
    """Whether a further copy could still come."""
    for look in await take_snapshots(redis, [SnapshotRequest(stream, "workers") for stream in streams]):
        assert isinstance(look, Snapshot), look
        if look.undelivered or look.pending or look.parked or look.due or look.outboxed:
            return True
    return False

"""A queue whose URL leads to another server from now on: what was seen of the first tells nothing of that one."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from redis.asyncio import Redis

from streamqueue.controller.cluster.store import Store
from streamqueue.controller.kinds import STREAM_QUEUES
from streamqueue.controller.loop import Loop
from streamqueue.streams.connection import connect
from tests.kube.api import Awaited, taken
from tests.redis.controller.loops import KEY, loop_over, queue_on, running, sample
from tests.redis.queue import Queue
from tests.redis.servers.process import RunningServer
from tests.unit.controller.bodies import Body

# What is asked of the server is a look at a stream.
pytestmark = pytest.mark.on("redis-7.0", "valkey-9.1")

TASKS = 50  # that the other server has seen, and are done


class ApiServer(Awaited):
    """Takes every write, and tells when a generation's status was written."""

    def __init__(self) -> None:
        super().__init__()
        self.generation = 0

    async def handle(self, request: web.Request) -> web.Response:
        body: dict[str, Any] = await request.json()
        if request.path.endswith("/status"):
            self.generation = body["status"]["observedGeneration"]
            await self.told()
        return taken(body)


@pytest.fixture
async def other(redis: Redis, shared_server: RunningServer) -> AsyncIterator[Redis]:
    """Its second database is a server to us."""
    await Queue(redis).create()
    client = connect(_other(shared_server))
    yield client
    await client.aclose()


async def moved(shared_server: RunningServer) -> tuple[Loop, float]:
    """The loop, after its queue was looked at on both, and when it moved, monotonic."""
    store, api = Store(), ApiServer()
    async with loop_over(store, api.handle) as loop, running(loop):
        for generation, url in enumerate((shared_server.url, _other(shared_server)), 1):
            at = time.monotonic()
            store.show(STREAM_QUEUES, _at(queue_on(shared_server, redis={"url": url}), generation))
            await api.comes_to(lambda generation=generation: api.generation == generation)
        return loop, at


def _other(server: RunningServer) -> str:
    return f"{server.url.removesuffix('/0')}/1"


def _at(body: Body, generation: int) -> Body:
    body["metadata"] |= {"generation": generation, "resourceVersion": str(generation)}
    return body


@pytest.mark.usefixtures("other")
async def test_its_group_is_new_there_and_was_deleted_nowhere(
    shared_server: RunningServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    await moved(shared_server)
    assert "GroupCreated" in caplog.text
    assert "GroupRecreated" not in caplog.text


async def test_what_was_done_there_before_is_no_progress(shared_server: RunningServer, other: Redis) -> None:
    there = Queue(other)
    await there.create()
    await there.add(TASKS)
    await there.ack(*[entry_id for entry_id, _ in await there.read()])
    loop, at = await moved(shared_server)
    assert not sample("added_total") and not sample("acknowledged_total")
    runtime = loop.runtime(KEY)
    assert runtime and runtime.memory and runtime.memory.since >= at, "nor were those arrivals"

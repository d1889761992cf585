"""A loop with real looks at Redis falls by an idle pod as soon as its mark counts, however rare its polls."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from redis.asyncio import Redis

from streamqueue.controller.cluster.store import Store
from streamqueue.controller.kinds import PODS
from streamqueue.controller.loop import Loop
from streamqueue.scaling.looks import SETTLE
from tests.kube.api import taken
from tests.redis.controller.loops import loop_over, queue_on, running, store_of
from tests.redis.queue import Queue
from tests.redis.servers.process import RunningServer
from tests.unit.controller.bodies import condition, pod

# What is asked of the server is a look at an empty stream.
pytestmark = pytest.mark.on("redis-7.0", "valkey-9.1")

POLL = 60.0  # seconds


class ApiServer:
    """Answers each write with what was written; its watch shows annotations of pods to `store`."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.marked: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self.fell: asyncio.Future[float] = asyncio.get_running_loop().create_future()

    async def handle(self, request: web.Request) -> web.Response:
        body: dict[str, Any] = await request.json()
        if "/pods/" in request.path:
            body = self._annotate(body["metadata"]["annotations"])
        elif request.path.endswith("/deployments/orders") and body["spec"]["replicas"] == 0 and not self.fell.done():
            self.fell.set_result(time.monotonic())
        return taken(body)

    def _annotate(self, annotations: dict[str, str | None]) -> dict[str, Any]:
        written, shown = ready_pod(version=2), ready_pod(version=2)
        for body in (written, shown):
            body["metadata"]["annotations"] = {key: value for key, value in annotations.items() if value}
        if not self.marked.done():
            self.marked.set_result(time.monotonic())
        self._store.show(PODS, shown)
        return written


def ready_pod(version: int) -> dict[str, Any]:
    return pod(version=version, conditions=[condition("Ready", "True")])


@pytest.fixture
def store(shared_server: RunningServer) -> Store:
    """A queue pinned at zero whose only pod idles."""
    store = store_of(queue_on(shared_server, scaling={"replicas": 0, "pollingInterval": f"{POLL:.0f}s"}))
    store.show(PODS, ready_pod(version=1))
    return store


@pytest.fixture
async def api(store: Store) -> ApiServer:
    return ApiServer(store)


@pytest.fixture
async def loop(store: Store, api: ApiServer) -> AsyncIterator[Loop]:
    async with loop_over(store, api.handle) as loop:
        yield loop


async def test_the_look_after_a_mark_comes_when_it_counts(redis: Redis, loop: Loop, api: ApiServer) -> None:
    await Queue(redis).create()
    async with running(loop), asyncio.timeout(POLL / 2):
        waited = await api.fell - await api.marked
    assert waited >= SETTLE

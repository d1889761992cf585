"""The operator's loop over a queue of the tests and a real Redis, with an API server that a test answers for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from prometheus_client import REGISTRY

from streamqueue.controller.cluster.events import Recorder
from streamqueue.controller.cluster.store import Store
from streamqueue.controller.endpoints.endpoints import Endpoints
from streamqueue.controller.kinds import DEPLOYMENTS, STREAM_QUEUES, Body
from streamqueue.controller.loop import Loop
from streamqueue.controller.round import Rounds
from tests.kube.api import answered_by, taken
from tests.redis.queue import Queue
from tests.redis.servers.process import RunningServer
from tests.redis.worker.pod import until
from tests.unit.controller.bodies import KEY, SETTINGS, owned, queue

POD = "orders-6b7f9-abcde"


def queue_on(server: RunningServer, **spec: Any) -> Body:
    """The queue of the tests, as the API server has it."""
    least = {
        "redis": {"url": server.url},
        "stream": Queue.stream,
        "group": Queue.group,
        "handler": {"image": "image"},
    }
    return queue(spec=least | spec)


def store_of(body: Body, replicas: int = 1) -> Store:
    """The queue `body`, and its fleet."""
    store = Store()
    store.show(STREAM_QUEUES, body)
    store.show(DEPLOYMENTS, owned("Deployment", spec={"replicas": replicas, "template": {"metadata": {}, "spec": {}}}))
    return store


def sample(name: str, **labels: str) -> float | None:
    """What the operator's metric says of the queue."""
    return REGISTRY.get_sample_value(f"streamqueue_{name}", {"namespace": KEY[0], "queue": KEY[1], **labels})


async def write(request: web.Request) -> web.Response:
    return taken(await request.json())


@asynccontextmanager
async def loop_over(
    store: Store, handle: Callable[[web.Request], Awaitable[web.Response]] = write
) -> AsyncIterator[Loop]:
    """A loop that has yet to run, whose API server is `handle`, or takes every write."""
    async with answered_by(handle) as kube:
        endpoints = Endpoints(kube)
        yield Loop(store, endpoints, Rounds(kube, Recorder(kube), store, SETTINGS, endpoints))
        await endpoints.close()


@asynccontextmanager
async def running(loop: Loop) -> AsyncIterator[None]:
    task = asyncio.create_task(loop.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def a_round(loop: Loop) -> None:
    """Return once a look that was begun after this call has had its whole round."""
    for _ in range(3):
        before = loop.runtime(KEY) and loop.runtime(KEY).counted
        await until(lambda before=before: (runtime := loop.runtime(KEY)) and runtime.counted is not before, "a look")

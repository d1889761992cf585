"""A queue that is changed, or deleted and made anew, under a round's hands: what was found out is of the one it saw."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiohttp import web

from streamqueue.controller.cluster.store import Store
from streamqueue.controller.kinds import STREAM_QUEUES
from streamqueue.controller.loop import Loop
from streamqueue.controller.runtime import Runtime
from tests.kube.api import taken
from tests.redis.controller.loops import KEY, loop_over, queue_on, running, store_of
from tests.redis.queue import Queue
from tests.redis.servers.process import RunningServer
from tests.redis.worker.pod import until
from tests.unit.controller.bodies import Body

# What is asked of the server is a look at an empty stream.
pytestmark = pytest.mark.on("redis-7.0", "valkey-9.1")

OLD, NEW = "q1", "q2"


class ApiServer:
    """Holds back the old queue's Deployment until `release` is set."""

    def __init__(self) -> None:
        self.held_back, self.release = asyncio.Event(), asyncio.Event()
        # Uid and generation of a queue, and what is said of them: whether the spec is accepted.
        self.said: set[tuple[str, int, str]] = set()

    async def handle(self, request: web.Request) -> web.Response:
        body: Body = await request.json()
        if request.path.endswith("/deployments/orders") and not self.held_back.is_set():
            self.held_back.set()
            await self.release.wait()
        if request.path.endswith("/status"):
            accepted = next(each for each in body["status"]["conditions"] if each["type"] == "Accepted")
            assert accepted["observedGeneration"] == body["status"]["observedGeneration"]
            self.said.add((body["metadata"]["uid"], accepted["observedGeneration"], accepted["status"]))
        return taken(body)


async def old_round(store: Store, loop: Loop, api: ApiServer) -> Runtime:
    """The old queue's, which stops at its Deployment."""
    await asyncio.wait_for(api.held_back.wait(), 10)
    runtime = loop.runtime(KEY)
    assert runtime and runtime.busy
    return runtime


def seen(server: RunningServer, **spec: Any) -> Store:
    return store_of(queue_on(server, **spec), replicas=0)


def made_anew(store: Store, body: Body) -> None:
    known = store.get(KEY)
    assert known and known.queue
    store.remove(STREAM_QUEUES, known.queue)
    body["metadata"] |= {"uid": NEW, "resourceVersion": "9"}
    store.show(STREAM_QUEUES, body)


@pytest.mark.usefixtures("queue")
async def test_what_was_found_out_for_the_old_one_isnt_said_of_the_new_one(shared_server: RunningServer) -> None:
    store, api = seen(shared_server), ApiServer()
    async with loop_over(store, api.handle) as loop, running(loop):
        old = await old_round(store, loop, api)
        body = queue_on(shared_server)
        del body["spec"]["stream"]
        made_anew(store, body)
        await until(lambda: api.said, "the new one is looked at")
        api.release.set()
        await until(lambda: not old.busy, "the old round ends")
    assert api.said == {(NEW, 1, "False")}


@pytest.mark.usefixtures("queue")
async def test_the_end_of_the_old_round_leaves_the_new_one_listened_to(shared_server: RunningServer) -> None:
    store, api = seen(shared_server), ApiServer()
    async with loop_over(store, api.handle) as loop, running(loop):
        old = await old_round(store, loop, api)
        made_anew(store, queue_on(shared_server, stream=f"{Queue.stream}-2"))
        await until(lambda: loop._waker.listened_to, "the new one sleeps")
        api.release.set()
        await until(lambda: not old.busy, "the old round ends")
        (sleeper,) = [each for home in loop._waker._sleepers.values() for each in home.values()]
        assert sleeper.stream == f"{Queue.stream}-2"


@pytest.mark.usefixtures("queue")
async def test_what_was_found_out_of_a_spec_isnt_said_of_the_next_one(shared_server: RunningServer) -> None:
    """Whoever waits for `observedGeneration` would take an edit that can't be used for one that is."""
    store, api = seen(shared_server), ApiServer()
    async with loop_over(store, api.handle) as loop, running(loop):
        await old_round(store, loop, api)
        body = queue_on(shared_server)
        del body["spec"]["stream"]
        body["metadata"] |= {"generation": 2, "resourceVersion": "9"}
        store.show(STREAM_QUEUES, body)
        api.release.set()
        await until(lambda: (OLD, 2, "False") in api.said, "the edit is looked at")
    assert api.said == {(OLD, 1, "True"), (OLD, 2, "False")}

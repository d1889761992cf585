"""What a look finds out is said of the queue, and of no other."""

from __future__ import annotations

import base64
import time
from typing import Any

import pytest
from aiohttp import web
from redis.asyncio import Redis

from streamqueue.api.timestamps import rfc3339
from streamqueue.controller import loop as loop_module
from streamqueue.controller.kinds import PODS, STREAM_QUEUES
from tests.kube.api import Awaited, taken
from tests.redis.controller.loops import POD, a_round, loop_over, queue_on, running, store_of
from tests.redis.queue import Queue
from tests.redis.servers.process import RunningServer
from tests.unit.controller.bodies import CREATED, condition, pod

# What is asked of the server is a look at a stream.
pytestmark = pytest.mark.on("redis-7.0", "valkey-9.1")

OFTEN = {"pollingInterval": "200ms"}


class ApiServer(Awaited):
    """Has one Secret or none, takes every write, and keeps the conditions that it is told, by the queue's name."""

    def __init__(self) -> None:
        super().__init__()
        self.url: str | None = None  # in the Secret
        self._said: dict[str, dict[str, tuple[str, str]]] = {}

    async def handle(self, request: web.Request) -> web.Response:
        if request.method == "GET" and self.url:
            data = {"url": base64.b64encode(self.url.encode()).decode()}
            return web.json_response({"metadata": {"uid": "s1"}, "data": data})
        if request.method == "GET":
            return web.json_response({"reason": "NotFound"}, status=404)
        body: dict[str, Any] = await request.json()
        if request.path.endswith("/status"):
            told = {each["type"]: (each["status"], each["reason"]) for each in body["status"]["conditions"]}
            self._said[body["metadata"]["name"]] = told
            await self.told()
        return taken(body)

    def says(self, kind: str, queue: str = "orders") -> tuple[str, str] | None:
        return self._said.get(queue, {}).get(kind)


@pytest.fixture
async def api() -> ApiServer:
    return ApiServer()


async def test_names_that_are_no_pods_are_told_of_until_work_is_held_under_pods_names(
    queue: Queue, shared_server: RunningServer, api: ApiServer
) -> None:
    """Not only while a task is at work: the condition would come and go with each."""
    store = store_of(queue_on(shared_server, scaling=OFTEN))
    store.show(PODS, pod(POD, conditions=[condition("Ready", "True")]))
    first, _ = await queue.add(2)
    await queue.read("main", count=1)
    async with loop_over(store, api.handle) as loop, running(loop):
        await api.comes_to(lambda: api.says("ConsumersShared") == ("True", "NamesAreNotPods"))
        await queue.ack(first)
        await a_round(loop)
        assert api.says("ConsumersShared")
        await queue.read(POD, count=1)
        await api.comes_to(lambda: api.says("ConsumersShared") is None)


async def test_where_nobody_holds_anything_no_name_is_told_of(
    queue: Queue, shared_server: RunningServer, api: ApiServer
) -> None:
    store = store_of(queue_on(shared_server, scaling=OFTEN))
    async with loop_over(store, api.handle) as loop, running(loop):
        await a_round(loop)
        assert api.says("Ready") and not api.says("ConsumersShared")


@pytest.mark.parametrize(("consumer", "said"), [(POD, ("False", "ReadsOn")), (f"{POD}.1a2b3c4d", None)])
async def test_a_loop_that_reads_on_after_sigterm_is_told_of_and_a_worker_of_the_sdk_is_none(
    queue: Queue, shared_server: RunningServer, api: ApiServer, consumer: str, said: tuple[str, str] | None
) -> None:
    """That stops by itself, and looks as if it read whenever it renews its leases."""
    store = store_of(queue_on(shared_server, scaling=OFTEN))
    leaving = pod(POD, version=2, conditions=[condition("Ready", "True")])
    leaving["metadata"]["deletionTimestamp"] = CREATED
    store.show(PODS, leaving)
    await queue.add()
    await queue.read(consumer)
    async with loop_over(store, api.handle) as loop, running(loop):
        await api.comes_to(lambda: api.says("Ready") is not None)
        assert api.says("DrainsOnSIGTERM") == said
        store.remove(PODS, leaving)
        await a_round(loop)
        assert api.says("DrainsOnSIGTERM") == said, "it is so of the spec, not of the pod"


async def test_a_server_that_answers_is_reachable_whatever_is_under_the_key(
    redis: Redis, shared_server: RunningServer, api: ApiServer
) -> None:
    await redis.set(Queue.stream, "no stream")
    async with loop_over(store_of(queue_on(shared_server)), api.handle) as loop, running(loop):
        await api.comes_to(lambda: api.says("Ready") == ("False", "WrongType"))
        assert api.says("RedisReachable") == ("True", "Reachable")


async def test_a_server_that_nobody_answers_at_is_not_reachable(own_server: RunningServer, api: ApiServer) -> None:
    store = store_of(queue_on(own_server))
    own_server.kill()
    async with loop_over(store, api.handle) as loop, running(loop):
        await api.comes_to(lambda: (api.says("RedisReachable") or ("",))[0] == "False")


async def test_a_server_that_may_lose_work_is_told_of(
    queue: Queue, shared_server: RunningServer, api: ApiServer
) -> None:
    """Servers of tests keep nothing."""
    async with loop_over(store_of(queue_on(shared_server, scaling=OFTEN)), api.handle) as loop, running(loop):
        await api.comes_to(lambda: api.says("RedisMayLoseWork") == ("True", "KeepsNothing"))


async def test_a_secret_that_is_missing_is_told_of_and_a_password_that_is_mended_is_taken(
    own_server: RunningServer, api: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop_module, "ERROR_BACKOFF", 0.1)
    async with Redis.from_url(own_server.url) as client:
        await client.config_set("requirepass", "right")
    reference = {"secretRef": {"name": "redis", "key": "url"}}
    store = store_of(queue_on(own_server, redis=reference, scaling=OFTEN))
    async with loop_over(store, api.handle) as loop, running(loop):
        await api.comes_to(lambda: api.says("RedisReachable") == ("False", "SecretMissing"))
        for password, said in (("wrong", ("False", "AuthenticationFailed")), ("right", ("True", "Reachable"))):
            api.url = own_server.url.replace("//", f"//:{password}@")
            await api.comes_to(lambda said=said: api.says("RedisReachable") == said)


async def test_secrets_that_lead_to_the_queues_own_stream_are_refused(
    queue: Queue, shared_server: RunningServer, api: ApiServer
) -> None:
    api.url = shared_server.url
    home, there = ({"secretRef": {"name": name, "key": "url"}} for name in ("redis", "results"))
    handler = {"image": "image", "protocol": "sdk"}
    body = queue_on(shared_server, redis=home, handler=handler, next={"stream": queue.stream, "redis": there})
    async with loop_over(store_of(body), api.handle) as loop, running(loop):
        await api.comes_to(lambda: api.says("Accepted") == ("False", "Invalid"))


async def test_of_two_queues_on_one_group_the_younger_is_refused(
    queue: Queue, shared_server: RunningServer, api: ApiServer
) -> None:
    store = store_of(queue_on(shared_server))
    for month, (name, stream) in enumerate({"younger": queue.stream, "other": "other"}.items(), 2):
        body = queue_on(shared_server, stream=stream)
        body["metadata"] |= {"name": name, "uid": name, "creationTimestamp": f"2026-0{month}-01T00:00:00Z"}
        store.show(STREAM_QUEUES, body)
    async with loop_over(store, api.handle) as loop, running(loop):
        await api.comes_to(lambda: api.says("Accepted", "younger") == ("False", "Duplicate"))
        for name in ("orders", "other"):
            await api.comes_to(lambda name=name: api.says("Accepted", name) == ("True", "Valid"))


async def test_pods_that_take_long_to_start_are_given_their_time(
    queue: Queue, shared_server: RunningServer, api: ApiServer
) -> None:
    """Three times what others took: a model that loads for minutes is no failure."""

    def ago(seconds: float) -> str:
        return rfc3339(time.time() - seconds)

    slow = pod(POD, conditions=[condition("Ready", "True") | {"lastTransitionTime": ago(900)}])
    slow["metadata"]["creationTimestamp"] = ago(1000)
    store = store_of(queue_on(shared_server, scaling=OFTEN))
    store.show(PODS, slow)
    await queue.add(1)

    def unready_for(seconds: float, version: int) -> None:
        waits = condition("Ready", "False") | {"lastTransitionTime": ago(seconds)}
        store.show(PODS, pod(f"{POD}x", "p2", version, conditions=[waits]))

    unready_for(200, 2)
    async with loop_over(store, api.handle) as loop, running(loop):
        await api.comes_to(lambda: api.says("Ready") == ("True", "Working"))
        assert api.says("PodsFailing") is None
        unready_for(400, 3)
        await api.comes_to(lambda: api.says("PodsFailing") == ("True", "NotReady"))

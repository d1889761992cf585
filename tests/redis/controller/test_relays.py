"""The operator's part in handing results on to another endpoint: beside the rounds, and by what Secrets say now."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from streamqueue.api.keys import target_on_next_redis
from streamqueue.api.spec import Handler, Next, Protocol, QueueSpec, SecretKey
from streamqueue.api.spec import Redis as RedisSpec
from streamqueue.controller.endpoints.endpoints import Endpoint, Endpoints
from streamqueue.controller.endpoints.handing_on import HandingOn
from streamqueue.controller.endpoints.relays import Relays, comes_back, secrets_of
from streamqueue.controller.trouble import Trouble
from streamqueue.streams import connect
from tests.redis.controller.loops import loop_over, queue_on, running, store_of
from tests.redis.controller.namespace import Namespace
from tests.redis.queue import Queue
from tests.redis.servers.process import RunningServer
from tests.redis.worker.pod import until
from tests.redis.worker.stores import KEYS

# What is asked of the second server here is AUTH, and to answer at all.
pytestmark = pytest.mark.on("redis-7.0", "valkey-9.1")

QUEUE = ("shop", "orders")
FAR = "paid of next.redis"


def spec(home: RunningServer, stream: str = "paid") -> QueueSpec:
    following = Next(stream, RedisSpec(secret_ref=SecretKey("results", "url")))
    return QueueSpec(RedisSpec(url=home.url), "orders", "workers", Handler("i", Protocol.SDK), next=following)


@pytest.fixture
async def relays(endpoints: Endpoints) -> AsyncIterator[Relays]:
    relays = Relays(endpoints)
    yield relays
    await relays.close()


async def outboxed(redis: Redis) -> None:
    for target in ("near", target_on_next_redis("paid")):
        await redis.sadd(KEYS.outboxes, target)
        await redis.xadd(KEYS.outbox(target), {"of": "x", "sq-row": "row"})


async def one_pass(relays: Relays, endpoints: Endpoints, queue: QueueSpec, memory: HandingOn) -> Endpoint | Trouble:
    """As a round begins it, and waited for as no round does; what `next.redis` led to."""
    home = await endpoints.resolve("shop", queue.redis)
    there = await relays.next_endpoint("shop", queue)
    assert there
    relays.begin(QUEUE, queue, home, there, memory)
    await until(lambda: not relays.under_way(QUEUE), "the pass ends")
    return there


async def test_a_secret_that_is_missing_wrong_and_mended_under_way(
    redis: Redis,
    shared_server: RunningServer,
    own_server: RunningServer,
    namespace: Namespace,
    endpoints: Endpoints,
    relays: Relays,
) -> None:
    queue, memory = spec(shared_server), HandingOn()
    home = await endpoints.resolve("shop", queue.redis)
    await outboxed(redis)

    missing = await one_pass(relays, endpoints, queue, memory)
    assert await redis.xlen("near") == 1, "what needs no other endpoint goes on"
    assert memory.failing[FAR].reason == "SecretMissing"
    assert memory.failing[FAR].message.startswith("spec.next.redis.secretRef: there is no Secret results")
    assert secrets_of(home, missing) is None, "what can't be read rolls no pods"

    async with connect(own_server.url) as far:
        await far.execute_command("ACL", "SETUSER", "app", "on", ">hunter2", "~*", "+@all")
        namespace.secrets["results"] = {"url": own_server.url.replace("://", "://app:hunter3@")}
        wrong = await one_pass(relays, endpoints, queue, memory)
        assert memory.failing[FAR].reason == "AuthenticationFailed" and "hunter" not in memory.failing[FAR].message

        namespace.secrets["results"] = {"url": own_server.url.replace("://", "://app:hunter2@")}
        right = await one_pass(relays, endpoints, queue, memory)
        assert memory.failing == {} and await far.xlen("paid") == 1, "a refused Secret is read anew"
        before, after = secrets_of(home, wrong), secrets_of(home, right)
        assert before and after and before.place == after.place and before.whole != after.whole


async def test_rounds_do_not_wait_for_a_server_that_says_nothing(
    redis: Redis,
    shared_server: RunningServer,
    own_server: RunningServer,
    namespace: Namespace,
    endpoints: Endpoints,
    relays: Relays,
) -> None:
    queue, memory = spec(shared_server), HandingOn()
    namespace.secrets["results"] = {"url": own_server.url}
    home, there = await endpoints.resolve("shop", queue.redis), await relays.next_endpoint("shop", queue)
    await outboxed(redis)
    own_server.pause()
    began = time.monotonic()
    for _ in range(3):
        relays.begin(QUEUE, queue, home, there, memory)
        await asyncio.sleep(0)
    assert relays.under_way(QUEUE) and time.monotonic() - began < 1.0
    await until(lambda: not relays.under_way(QUEUE), "it was given up")
    assert memory.failing[FAR].reason == "Timeout"
    own_server.resume()
    await one_pass(relays, endpoints, queue, memory)
    assert memory.failing == {}
    async with connect(own_server.url) as far:
        assert await far.xlen("paid") == 1, "the pass that was given up had been heard"


async def test_a_round_begins_it(queue: Queue, shared_server: RunningServer) -> None:
    await outboxed(queue.redis)
    async with loop_over(store_of(queue_on(shared_server))) as loop, running(loop):
        await until(lambda: queue.redis.xlen("near"), "the result is handed on")


async def test_secrets_that_lead_to_the_queues_own_stream_are_seen(
    shared_server: RunningServer, namespace: Namespace, endpoints: Endpoints, relays: Relays
) -> None:
    namespace.secrets["results"] = {"url": shared_server.url}
    for stream, loops in (("orders", True), ("paid", False)):
        queue = spec(shared_server, stream)
        home, there = await endpoints.resolve("shop", queue.redis), await relays.next_endpoint("shop", queue)
        assert comes_back(queue, home, there) is loops
    namespace.secrets["results"] = {"url": shared_server.url.replace("/0", "/1")}
    endpoints.forget("shop", RedisSpec(secret_ref=SecretKey("results", "url")))
    queue = spec(shared_server, "orders")
    there = await relays.next_endpoint("shop", queue)
    assert isinstance(there, Endpoint) and not comes_back(queue, home, there), "another database is another endpoint"

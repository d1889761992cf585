"""The loop tells busy workers that are too many to take no more, and takes the word back when they are wanted."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis

from streamqueue.controller.cluster.store import Store
from streamqueue.controller.kinds import DEPLOYMENTS, PODS, STREAM_QUEUES
from tests.redis.controller.loops import KEY, loop_over, queue_on, running
from tests.redis.queue import Queue
from tests.redis.servers.process import RunningServer
from tests.redis.worker.pod import until
from tests.redis.worker.stores import KEYS, store, take
from tests.unit.controller.bodies import condition, owned, pod

pytestmark = pytest.mark.on("redis-7.0", "valkey-9.1")

BUSY, BUSIER = "orders-6b7f9-aaaaa", "orders-6b7f9-bbbbb"


async def test_the_least_busy_of_too_many_is_told_and_taken_back(redis: Redis, shared_server: RunningServer) -> None:
    queue, seen = Queue(redis), Store()
    await queue.create()
    await queue.add(3)
    await take(store(redis, f"{BUSY}.1"), 1)
    await take(store(redis, f"{BUSIER}.1"), 2)
    handler = {"image": "image", "protocol": "sdk", "concurrency": 20}

    def show(replicas: int, version: int) -> None:
        scaling = {"replicas": replicas, "pollingInterval": "200ms"}
        body = queue_on(shared_server, handler=handler, scaling=scaling)
        body["metadata"] |= {"generation": version, "resourceVersion": str(version)}
        seen.show(STREAM_QUEUES, body)

    async def told() -> set[bytes]:
        found: set[bytes] = await redis.smembers(KEYS.cordon)
        return found

    async def nobody_is() -> bool:
        return not await told()

    show(1, version=1)
    seen.show(DEPLOYMENTS, owned("Deployment", spec={"replicas": 2, "template": {"metadata": {}}}))
    for name in (BUSY, BUSIER):
        seen.show(PODS, pod(name, uid=name, conditions=[condition("Ready", "True")]))
    async with loop_over(seen) as loop, running(loop):
        assert await until(told, "one is told") == {BUSY.encode()}
        show(2, version=2)
        await until(nobody_is, "both are wanted")


async def test_where_there_are_no_pods_nobody_is_told(redis: Redis, shared_server: RunningServer) -> None:
    """A new leader of a thousand idle queues would write a thousand times that nobody is."""
    await Queue(redis).create()
    await redis.sadd(KEYS.cordon, BUSY)
    seen = Store()
    seen.show(STREAM_QUEUES, queue_on(shared_server, handler={"image": "image", "protocol": "sdk", "concurrency": 20}))

    async def nobody_is() -> bool:
        return not await redis.exists(KEYS.cordon)

    async with loop_over(seen) as loop, running(loop):
        await until(lambda: (runtime := loop.runtime(KEY)) and not runtime.fresh, "a round is over")
        assert not await nobody_is()
        seen.show(PODS, pod(BUSY, conditions=[condition("Ready", "True")]))
        await until(nobody_is, "a leader before this one may have told it")

"""What a worker costs that waits: a fleet of them must leave Redis to those who work."""

from __future__ import annotations

import asyncio

import pytest

from streamqueue import Context, Retry
from streamqueue import Queue as Producer
from streamqueue.streams.settlement import Settlement
from tests.redis.queue import Queue
from tests.redis.servers.process import RunningServer
from tests.redis.worker.pod import until, working
from tests.redis.worker.stores import KEYS, settle, store, take

pytestmark = pytest.mark.process

MOST = 100  # commands a second, those inside scripts included; a loop that does not rest sends thousands


async def cost(queue: Queue) -> int:
    """Commands that the server carries out in a second."""

    async def count() -> int:
        return int((await queue.redis.info("stats"))["total_commands_processed"])

    before = await count()
    await asyncio.sleep(1.0)
    return await count() - before


async def test_who_waits_for_whatever_leaves_redis_in_peace(queue: Queue, shared_server: RunningServer) -> None:
    """For tasks, its own handlers, a retry; after it handed a result on; however often a handler tells of itself."""
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def handle(task: dict[str, str], ctx: Context) -> dict[str, str]:
        if task["task"] == "0":
            raise Retry("not today", after=3600)
        if task["task"] == "1":
            begun.set()
            while not go_on.is_set():
                ctx.progress(0.5)
                await asyncio.sleep(0.001)
        return task

    by_outbox = {"next_stream": "paid", "next_redis_url": shared_server.url}
    async with working(shared_server.url, handle, concurrency=2, results_ttl=60.0, **by_outbox) as worker:
        assert await cost(queue) < MOST, "with nothing to do"
        await queue.add(3)
        await begun.wait()
        await until(lambda: (worker.counters.acked, worker.counters.parked) == (1, 1), "one done and one parked")
        await until(lambda: queue.redis.exists("paid"), "its result")
        assert await cost(queue) < MOST, "with a free slot"
        await queue.redis.xadd(queue.stream, {"task": "1"})
        await until(lambda: worker._consumer and worker._consumer.metrics.in_flight == 2, "no free slot")
        assert await cost(queue) < MOST, "with none"
        go_on.set()


async def test_who_waits_for_a_task_that_was_over_and_is_not_leaves_redis_in_peace(
    queue: Queue, shared_server: RunningServer
) -> None:
    """A dead letter that was put back before anybody looked, or a result for which there was no memory."""
    async with Producer(shared_server.url, queue.stream) as producer:
        sent = await producer.send({"n": 1})
        waiting = asyncio.create_task(producer.wait(sent.id, 60))
        await until(lambda: queue.redis.publish(KEYS.results + sent.id, "over"), "somebody who listens")
        assert await cost(queue) < MOST
        a = store(queue.redis, results_ttl=60.0)
        (entry,) = await take(a)
        await settle(a, (entry, Settlement("ack", (sent.id, "1"))))
        assert (await waiting).value == 1

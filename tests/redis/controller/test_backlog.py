"""A backlog of megabytes is worth as many workers as one of short tasks."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis

from streamqueue.api.spec import Scaling, TargetBacklog
from streamqueue.loop.observe import count_cap, observation
from streamqueue.scaling import decide
from streamqueue.streams import SnapshotRequest, take_snapshot
from tests.redis.queue import Queue, spec

# Before Redis 7.0 nobody counts what a group has read.
pytestmark = pytest.mark.on("redis-7.0", "redis-8.6", "valkey-9.1")

BY_BACKLOG = Scaling(max_replicas=50, target=TargetBacklog(100))
WAITING = 3000


async def test_counting_that_stops_at_some_megabytes_starves_no_fleet(redis: Redis) -> None:
    queue = Queue(redis)
    await queue.create()
    await queue.add(1)
    await queue.ack(*(entry for entry, _ in await queue.read()))
    async with redis.pipeline(transaction=False) as pipe:
        for _ in range(WAITING):
            pipe.xadd(queue.stream, {"task": "x" * 1000})
        await pipe.execute()
    asked = SnapshotRequest(queue.stream, queue.group, count_cap(spec(scaling=BY_BACKLOG)))
    found = await take_snapshot(redis, asked)
    assert found.undelivered <= WAITING, "a lower bound stays one"
    decision, _ = decide(BY_BACKLOG, None, observation(found, (), now=1.0, replicas=0))
    assert decision.replicas == WAITING / 100

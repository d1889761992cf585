"""A queue as the tests see it: producer, plain loop and looks, in a few words."""

from __future__ import annotations

import asyncio
from typing import Any

from redis.asyncio import Redis

from streamqueue.api.spec import Delivery, Handler, QueueSpec, Reclaim, Requeue, Retention
from streamqueue.api.spec import Redis as RedisSpec
from streamqueue.maintenance import SweepReport, check_server, release, sweep
from streamqueue.streams import Snapshot, SnapshotRequest, ensure_group, take_snapshot

Entry = tuple[str, dict[str, str]]


class Queue:
    """Stream `orders`, group `workers`."""

    stream = "orders"
    group = "workers"
    dlq = "{orders}:g:workers:dlq"
    epoch = "{orders}:g:workers:epoch"

    def __init__(self, redis: Redis) -> None:
        self.redis = redis

    async def create(self) -> None:
        await ensure_group(self.redis, self.stream, self.group)

    async def add(self, count: int = 1) -> list[str]:
        """Ids of `count` new tasks."""
        return [(await self.redis.xadd(self.stream, {"task": str(n)})).decode() for n in range(count)]

    async def read(self, consumer: str = "pod-1", count: int = 100, group: str | None = None) -> list[Entry]:
        """What XREADGROUP hands to `consumer`."""
        reply = await self.redis.xreadgroup(group or self.group, consumer, {self.stream: ">"}, count=count)
        return _entries(reply[0][1]) if reply else []

    async def ack(self, *ids: str) -> None:
        await self.redis.xack(self.stream, self.group, *ids)

    async def entries(self) -> list[Entry]:
        return _entries(await self.redis.xrange(self.stream))

    async def dead(self) -> list[dict[str, str]]:
        return [fields for _, fields in _entries(await self.redis.xrange(self.dlq))]

    async def letters(self) -> list[str]:
        """Ids of the dead letters."""
        return [entry_id for entry_id, _ in _entries(await self.redis.xrange(self.dlq))]

    async def raw_dead(self) -> list[dict[bytes, bytes]]:
        return [fields for _, fields in await self.redis.xrange(self.dlq)]

    async def pending(self) -> list[str]:
        rows = await self.redis.xpending_range(self.stream, self.group, "-", "+", 10_000)
        return [row["message_id"].decode() for row in rows]

    async def now(self) -> float:
        seconds, micros = await self.redis.time()
        return seconds + micros / 1e6

    async def idle(self, seconds: float) -> None:
        """Wait until the newest pending entry has idled for so long by the server's clock."""
        rows = await self.redis.xpending_range(self.stream, self.group, "-", "+", 10_000)
        wait = seconds - min(row["time_since_delivered"] for row in rows) / 1000
        await asyncio.sleep(max(0, wait) + 0.002)

    async def age(self, seconds: float, *ids: str) -> None:
        """Make pending entries look delivered so long ago, without a redelivery."""
        for entry_id in ids or await self.pending():
            (row,) = await self.redis.xpending_range(self.stream, self.group, entry_id, entry_id, 1)
            await self.redis.xclaim(
                self.stream,
                self.group,
                row["consumer"],
                0,
                [entry_id],
                idle=int(seconds * 1000),
                retrycount=row["times_delivered"],
                justid=True,
            )

    async def snapshot(self, cap: int = 1000) -> Snapshot:
        return await take_snapshot(self.redis, SnapshotRequest(self.stream, self.group, cap))

    async def settle(self, spec: QueueSpec) -> None:
        """Let the quiet time after the first look be over, and a pause of this machine be none of the server's."""
        await check_server(self.redis, spec)
        await self.redis.hset(self.epoch, mapping={"since": 0, "interval": 60_000})

    async def swept(self, spec: QueueSpec, *ids: str) -> SweepReport:
        """The pass, once `ids`, or all that is pending, have idled for more than a minute, and nothing is in doubt."""
        await self.age(61, *ids)
        await self.settle(spec)
        return await sweep(self.redis, spec)


async def kill(queue: Queue, count: int, cause: str = "Error") -> list[str]:
    """Ids of `count` tasks that are dead letters now."""
    ids = await queue.add(count)
    await queue.read(count=count)
    once = spec(max_deliveries=1, dlq_max=100_000)
    report = await release(queue.redis, once, "pod-1", await queue.now() + 1, cause)
    assert report.dead_lettered == count
    return ids


def spec(
    *,
    visibility: float = 60.0,
    max_deliveries: int = 3,
    dlq_max: int = 100,
    batch: int = 1,
    concurrency: int = 1,
    consumer_ttl: float = 3600.0,
    retention: Retention | None = None,
    requeue: Requeue = Requeue.SINGLE_GROUP,
    **other: Any,
) -> QueueSpec:
    return QueueSpec(
        redis=RedisSpec(url="redis://localhost"),
        stream=Queue.stream,
        group=Queue.group,
        handler=Handler(image="none", batch=batch, concurrency=concurrency),
        delivery=Delivery(visibility, max_deliveries, dlq_max, requeue=requeue),
        reclaim=Reclaim(idle_consumer_ttl=consumer_ttl),
        retention=retention or Retention(),
        **other,
    )


def _entries(raw: Any) -> list[Entry]:
    return [
        (entry_id.decode(), {name.decode(): value.decode() for name, value in (fields or {}).items()})
        for entry_id, fields in raw
    ]

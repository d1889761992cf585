"""Consumers at the level of the scripts, without a loop around them."""

from __future__ import annotations

from typing import Any

from redis.asyncio import Redis

from streamqueue.api.keys import Keys
from streamqueue.streams.settlement import ACKNOWLEDGED, Settlement, Verdict
from streamqueue.streams.taken import Taken
from streamqueue.streams.tasks import PARKED, Limits, TaskStore
from tests.redis.queue import Queue

KEYS = Keys(Queue.stream, Queue.group)
VISIBILITY = 60.0
Ended = tuple[Taken, Settlement]


def store(redis: Redis, name: str = "a", **limits: Any) -> TaskStore:
    return TaskStore(redis, KEYS, name, Limits(**{"visibility_timeout": VISIBILITY, "max_deliveries": 3, **limits}))


async def take(tasks: TaskStore, most: int = 100, due_first: int = 100) -> list[Taken]:
    reply = await tasks.exchange([], most, due_first)
    return [*reply.again, *reply.new.entries()]


async def settle(tasks: TaskStore, *ended: Ended) -> list[Verdict]:
    return (await tasks.exchange(ended, 0, 0)).verdicts


def ack(entry: Taken, **more: Any) -> Ended:
    return entry, Settlement("ack", (entry.id, ""), **more)


def bare_ack(entry: Taken) -> Ended:
    """Where no results are kept: many go in one list."""
    return entry, ACKNOWLEDGED


def retry(entry: Taken, delay: float = 0.0, charge: int = 1) -> Ended:
    return entry, Settlement("retry", (int(delay * 1000), charge, "it failed"))


def release(entry: Taken) -> Ended:
    return entry, Settlement("release")


async def expire(queue: Queue, *ids: str) -> None:
    """As if the owner had not renewed for long."""
    for entry_id in ids:
        held = await queue.redis.hget(KEYS.lease, entry_id)
        if held:
            await queue.redis.hset(KEYS.lease, entry_id, held.split()[0] + b" 1")
    await queue.age(VISIBILITY + 1, *ids)


async def claim(tasks: TaskStore, most: int = 100) -> list[Taken]:
    entries, cursor = await tasks.claim(most, "-")
    while cursor != "-" and len(entries) < most:
        more, cursor = await tasks.claim(most - len(entries), cursor)
        entries += more
    return entries


async def owners(queue: Queue) -> dict[str, str]:
    rows = await queue.redis.xpending_range(queue.stream, queue.group, "-", "+", 10_000)
    return {row["message_id"].decode(): row["consumer"].decode() for row in rows}


__all__ = [
    "KEYS",
    "PARKED",
    "VISIBILITY",
    "Ended",
    "ack",
    "bare_ack",
    "claim",
    "expire",
    "owners",
    "release",
    "retry",
    "settle",
    "store",
    "take",
]

"""Where one task is: what the queue keeps of it, and where its entry lies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from redis.asyncio import Redis

from streamqueue.api.keys import Keys, StreamKeys
from streamqueue.streams.entries import fields_of
from streamqueue.streams.script import Script
from streamqueue.streams.tasks import PARKED

_WHEREABOUTS = Script.beside(__package__, "fields.lua", "needs.lua", "whereabouts.lua")


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """`known` is the hash of its state and result, empty where none is kept.

    `place` is delayed, waiting, pending, parked, or "" where nothing can be told: it is acknowledged, or its entry's id
    is not known. `idle` is seconds since its last delivery.
    """

    known: Mapping[bytes, bytes]
    place: str
    consumer: str | None
    idle: float | None


async def find(client: Redis, keys: Keys, task_id: str) -> Whereabouts:
    """Look once, without reading through the stream. Raises RedisProblem."""
    shared = StreamKeys(keys.stream)
    names = [keys.stream, keys.results + task_id, shared.sent(task_id), shared.delayed]
    flat, place, consumer, idle = await _WHEREABOUTS(client, names, [keys.group, task_id, PARKED])
    return Whereabouts(
        known=fields_of(flat),
        place=place.decode(),
        consumer=consumer.decode("utf-8", "replace") or None,
        idle=idle / 1000 if idle >= 0 else None,
    )

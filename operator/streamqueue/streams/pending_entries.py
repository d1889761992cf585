"""Rows of the pending entries list, with what XPENDING alone knows: deliveries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis

from streamqueue.streams.errors import typed


@dataclass(frozen=True, slots=True)
class PendingEntry:
    """An entry that was delivered and not acknowledged; `idle` is seconds since its last delivery."""

    id: str
    consumer: str
    idle: float
    deliveries: int


async def pending_entries(
    client: Redis, stream: str, group: str, start: str = "-", end: str = "+", *, count: int, consumer: str | None = None
) -> list[PendingEntry]:
    """At most `count` rows between two ids, by ascending id. Raises RedisProblem."""
    rows: list[dict[str, Any]] = await typed(client.xpending_range(stream, group, start, end, count, consumer))
    return [
        PendingEntry(
            row["message_id"].decode(),
            row["consumer"].decode("utf-8", "replace"),
            row["time_since_delivered"] / 1000,
            row["times_delivered"],
        )
        for row in rows
    ]

"""Reading the pending entries list."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis

from streamqueue.streams.entry_ids import entry_order, successor
from streamqueue.streams.script import Script

PAGE = 1000
_SCRIPT = Script.beside(__package__, "clock.lua", "pending_entries.lua")


@dataclass(frozen=True, slots=True)
class PendingEntry:
    """A row of the list: an entry that was delivered and not acknowledged. Times are milliseconds by Redis's clock."""

    id: str
    consumer: bytes  # as the server has it: names need not be text
    idle: int  # since the last delivery
    delivered_at: int
    deliveries: int

    @property
    def order(self) -> tuple[int, int]:
        """Entry ids in the order of the stream."""
        return entry_order(self.id)

    @property
    def consumer_text(self) -> str:
        return self.consumer.decode("utf-8", "replace")


async def pending_entries(
    client: Redis, stream: str, group: str, *, min_idle: int = 0, consumer: str = ""
) -> AsyncIterator[list[PendingEntry]]:
    """Pages of rows idle for at least `min_idle` ms, by ascending id; a page may be empty. Raises RedisProblem."""
    start = "-"
    while True:
        now, cursor, rows = await _SCRIPT(client, [stream], [group, start, PAGE, min_idle, consumer])
        yield [_entry(row, now) for row in rows]
        if not cursor:
            return
        start = successor(cursor.decode())


async def pending_entry(client: Redis, stream: str, group: str, entry_id: str) -> PendingEntry | None:
    """The row of this entry; None where it is not pending. Raises RedisProblem."""
    now, _, rows = await _SCRIPT(client, [stream], [group, entry_id, 1, 0, ""])
    found = _entry(rows[0], now) if rows else None
    return found if found and found.order == entry_order(entry_id) else None


def _entry(row: Any, now: int) -> PendingEntry:
    entry_id, consumer, idle, deliveries = row
    return PendingEntry(entry_id.decode(), consumer, idle, now - idle, deliveries)

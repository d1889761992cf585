"""Reading the pending entries list."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from redis.asyncio import Redis

from streamqueue.streams.entry_ids import entry_order, successor
from streamqueue.streams.script import Script

PAGE = 1000

_SCRIPT = Script.beside(__package__, "clock.lua", "pending.lua")


@dataclass(frozen=True, slots=True)
class Delivery:
    """One row of the pending entries list. Times are milliseconds by Redis's clock."""

    id: str
    consumer: bytes  # as the server has it: names need not be text
    idle: int  # since the last delivery
    delivered_at: int

    @property
    def order(self) -> tuple[int, int]:
        """Entry ids in the order of the stream."""
        return entry_order(self.id)


async def deliveries(
    client: Redis, stream: str, group: str, *, min_idle: int = 0, consumer: str = ""
) -> AsyncIterator[list[Delivery]]:
    """Pages of rows idle for at least `min_idle` ms, by ascending id; a page may be empty. Raises RedisProblem."""
    start = "-"
    while True:
        now, cursor, rows = await _SCRIPT(client, [stream], [group, start, PAGE, min_idle, consumer])
        yield [Delivery(row[0].decode(), row[1], row[2], now - row[2]) for row in rows]
        if not cursor:
            return
        start = successor(cursor.decode())

"""A replica that has everything."""

from __future__ import annotations

from redis.asyncio import Redis

PATIENCE = 10_000  # milliseconds


async def replicated(client: Redis) -> None:
    """Until a replica has all that was written. WAIT is for what its own connection wrote: one write goes before it."""
    async with client.pipeline(transaction=False) as one:
        one.set("replicated", 1).execute_command("WAIT", 1, PATIENCE)
        assert (await one.execute())[-1] >= 1, "no replica follows"

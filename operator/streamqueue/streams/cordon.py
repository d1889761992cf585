"""Workers that take no more tasks: their operator wants fewer, and lets them go once they are idle.

Workers of the SDK ask with each request for work. A word that nobody repeats is soon forgotten: without an operator
all work on.
"""

from __future__ import annotations

from collections.abc import Iterable

from redis.asyncio import Redis

from streamqueue.api.keys import Keys
from streamqueue.streams.errors import execute


async def cordon(client: Redis, keys: Keys, workers: Iterable[str], seconds: float) -> None:
    """For so many seconds these `workers`, and no others of the group, take no more. Raises RedisProblem."""
    names = " ".join(workers)
    if names:
        await execute(client, "SET", keys.cordon, f" {names} ", "PX", int(seconds * 1000))
    else:
        await execute(client, "DEL", keys.cordon)

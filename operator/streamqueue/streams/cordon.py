"""Workers that take no more tasks: their operator wants fewer, and lets them go once they are idle.

Workers of the SDK ask with each request for work. A word that nobody repeats is soon forgotten: without an operator
all work on.
"""

from __future__ import annotations

from collections.abc import Iterable

from redis.asyncio import Redis

from streamqueue.api.keys import Keys
from streamqueue.streams.script import Script

_CORDON = Script.beside(__package__, "cordon.lua")


async def cordon(client: Redis, keys: Keys, workers: Iterable[str], seconds: float) -> None:
    """For so many seconds these `workers`, and no others of the group, take no more. Raises RedisProblem."""
    await _CORDON(client, [keys.cordon], [int(seconds * 1000), *workers])

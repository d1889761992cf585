"""Cordoned workers take no more tasks: the operator wants fewer of them, and lets these go once they are idle.

Each request of an SDK worker for tasks looks whether it is cordoned. The list expires unless the operator writes it
again: without an operator all workers take tasks.
"""

from __future__ import annotations

from collections.abc import Iterable

from redis.asyncio import Redis

from streamqueue.api.keys import Keys
from streamqueue.streams.script import Script

_CORDON = Script.beside(__package__, "cordon.lua")


async def cordon(client: Redis, keys: Keys, workers: Iterable[str], seconds: float) -> None:
    """Cordon these `workers` of the group, and no others, for so many seconds. Raises RedisProblem."""
    await _CORDON(client, [keys.cordon], [int(seconds * 1000), *workers])

"""Consumers that nobody uses any more: names of pods that are gone pile up in the group."""

from __future__ import annotations

import time

from redis.asyncio import Redis

from streamqueue.api.spec import QueueSpec
from streamqueue.streams.script import Script

STEP = 500  # consumers per script call: a script blocks the server

_SCRIPT = Script.beside(__package__, "fields.lua", "consumers.lua")


async def delete_idle_consumers(client: Redis, spec: QueueSpec, deadline: float) -> int:
    """How many were deleted; a reader that was only waiting is created anew by its next read. Raises RedisProblem."""
    ttl = int(spec.reclaim.idle_consumer_ttl * 1000)
    deleted = 0
    while time.monotonic() < deadline:
        count = int(await _SCRIPT(client, [spec.stream], [spec.group, ttl, STEP]))
        deleted += count
        if count < STEP:
            break
    return deleted

"""The group's dead letters: put back, or removed. Both are safe to repeat: what was done is no longer there."""

from __future__ import annotations

from dataclasses import dataclass

from redis.asyncio import Redis

from streamqueue.api.keys import Keys
from streamqueue.api.spec import QueueSpec
from streamqueue.streams.errors import execute
from streamqueue.streams.script import Script

STEP = 100  # dead letters per script call: a script blocks the server

_REDRIVE = Script.beside(__package__, "redrive.lua")
_PURGE = Script.beside(__package__, "purge.lua")


@dataclass(frozen=True, slots=True)
class Redrive:
    """How many went back; `needs_worker`: none, since the stream has other groups that a copy would reach."""

    redriven: int
    needs_worker: bool = False


async def redrive(client: Redis, spec: QueueSpec) -> Redrive:
    """Put every dead letter that is there now back into the stream, attempts at zero, task id kept.

    Letters that die again meanwhile are left for the next redrive. Raises RedisProblem.
    """
    keys = Keys(spec.stream, spec.group)
    last = await _last(client, keys.dlq)
    total, more = 0, last is not None
    while more:
        count, again = await _REDRIVE(client, [keys.dlq, keys.stream], [spec.group, last or "", STEP])
        if count < 0:
            return Redrive(total, needs_worker=True)
        total += count
        more = bool(again)
    return Redrive(total)


async def purge(client: Redis, spec: QueueSpec) -> int:
    """Remove every dead letter that is there now; how many. Raises RedisProblem."""
    dlq = Keys(spec.stream, spec.group).dlq
    last = await _last(client, dlq)
    total, count = 0, STEP if last else 0
    while count == STEP:
        count = int(await _PURGE(client, [dlq], [last or "", STEP]))
        total += count
    return total


async def _last(client: Redis, dlq: str) -> str | None:
    newest = await execute(client, "XREVRANGE", dlq, "+", "-", "COUNT", 1)
    return newest[0][0].decode() if newest else None

"""Tasks into a stream, now or later, once each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from redis.asyncio import Redis

from streamqueue.api.keys import StreamKeys
from streamqueue.streams.script import Arg, Script

STEP = 100  # tasks per script call: a script blocks the server
MAX_FIELDS = 3000  # Lua's unpack ends at 8,000 values, and copies carry fields of their own

_ENQUEUE = Script.beside(__package__, "clock.lua", "enqueue.lua")
_PROMOTE = Script.beside(__package__, "clock.lua", "promote.lua")


@dataclass(frozen=True, slots=True)
class NewTask:
    """A task to enqueue. Times are seconds; `remembered`: how long a second call with this id adds nothing."""

    id: str
    fields: Sequence[tuple[str, str | bytes]]
    delay: float = 0.0
    remembered: float = 3600.0


@dataclass(frozen=True, slots=True)
class Enqueued:
    """`entry` is the stream id, None for a delayed task; `repeated`: the id had been sent before, nothing was added."""

    entry: str | None
    repeated: bool


async def enqueue(client: Redis, stream: str, tasks: Sequence[NewTask]) -> list[Enqueued]:
    """Add `tasks`, at most STEP of them, in one script. Safe to repeat with the same ids. Raises RedisProblem."""
    keys = StreamKeys(stream)
    args: list[Arg] = []
    for task in tasks:
        args += [task.id, int(task.remembered * 1000), round(task.delay * 1000), 2 * len(task.fields)]
        for name, value in task.fields:
            args += [name, value]
    marks = [keys.sent(task.id) for task in tasks]
    reply = await _ENQUEUE(client, [keys.stream, keys.delayed, keys.payloads, *marks], args)
    return [Enqueued(entry.decode() or None, bool(repeated)) for entry, repeated in reply]


async def promote(client: Redis, stream: str) -> tuple[int, float | None]:
    """Move delayed tasks that are due into `stream`, at most STEP of them.

    How many were moved, and seconds until the next is due (0 if more are due now, None without any). May run anywhere,
    any number at once. Raises RedisProblem.
    """
    keys = StreamKeys(stream)
    count, until = await _PROMOTE(client, [keys.stream, keys.delayed, keys.payloads], [STEP, keys.sent("")])
    return count, until / 1000 if until >= 0 else None

"""Entries on their way to a stream that no script of their queue reaches: each arrives once.

They are written with the acknowledgement of the task that made them. A relay appends them to their stream, where a
mark per row makes a second call harmless, and then removes the rows.
"""

from __future__ import annotations

import secrets

from redis.asyncio import Redis

from streamqueue.api.keys import Keys, StreamKeys, stream_on_next_redis
from streamqueue.streams.entries import entries_of
from streamqueue.streams.errors import execute
from streamqueue.streams.script import Arg, Script

STEP = 100  # rows per script call: a script blocks the server
KEPT = 3_600_000  # ms for which marks outlive the last row

_MARK = b"sq-row"  # the row's name: entry, token and number

_READ = Script.beside(__package__, "clock.lua", "outbox_read.lua")
_DELIVER = Script.beside(__package__, "outbox_deliver.lua")
_CLEAR = Script.beside(__package__, "fields.lua", "outbox_clear.lua")


async def targets(client: Redis, keys: Keys) -> list[str]:
    """Which targets this queue has an outbox for: streams, or what `target_on_next_redis` made of one.

    Raises RedisProblem.
    """
    return sorted(name.decode() for name in await execute(client, "SMEMBERS", keys.outboxes))


async def relay_step(client: Redis, keys: Keys, target: str, there: Redis) -> tuple[int, int]:
    """Deliver the oldest rows for `target`, at most STEP and about a megabyte; how many went, and how many are left.

    `there` is a client of the server that holds the stream. May run anywhere, any number at once; safe to repeat.
    Raises RedisProblem.
    """
    now, found = await _READ(client, [keys.outbox(target)], [STEP])
    rows = entries_of(found)
    stream = stream_on_next_redis(target)
    if stream is None:
        stream, seen = target, StreamKeys(target).seen(keys)
    else:
        seen = StreamKeys(stream).seen(keys, await _server(client, keys))
    if rows:
        args: list[Arg] = [now]
        for row in rows:
            values = [part for name, value in row.fields.items() if name != _MARK for part in (name, value)]
            args += [row.fields[_MARK], len(values), *values]
        await _DELIVER(there, [stream, seen], args)
    delivered = [part for row in rows for part in (row.id, row.fields[_MARK])]
    left = int(await _CLEAR(client, [keys.outbox(target), keys.outboxes], [target, *delivered]))
    if left == 0:
        await execute(there, "PEXPIRE", seen, KEPT)
    return len(rows), left


async def _server(client: Redis, keys: Keys) -> str:
    """The name of the queue's own server; it gets one where it has none."""
    name: bytes | None = await execute(client, "GET", keys.server)
    if name is None:
        await execute(client, "SET", keys.server, secrets.token_hex(8), "NX")
        name = await execute(client, "GET", keys.server)
    assert name
    return name.decode()

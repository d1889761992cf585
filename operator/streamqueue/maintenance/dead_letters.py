"""The group's dead letters: listed, put back, or removed. All safe to repeat: what was done is no longer there."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from redis.asyncio import Redis

from streamqueue.api.keys import Keys, StreamKeys
from streamqueue.api.spec import QueueSpec
from streamqueue.maintenance.replay import WouldReachOthers
from streamqueue.streams.entries import Entry, header_pages, read_entries
from streamqueue.streams.errors import execute
from streamqueue.streams.script import Arg, Script

_REDRIVE = Script.beside(__package__, "clock.lua", "reaches_others.lua", "redrive.lua")


async def letters(client: Redis, spec: QueueSpec) -> AsyncIterator[list[Entry]]:
    """Pages of the dead letters that are there now, oldest first, without their payloads. Raises RedisProblem."""
    dlq = Keys(spec.stream, spec.group).dlq
    newest = await read_entries(client, dlq, count=1, newest=True)
    if newest:
        async for page in header_pages(client, dlq, end=newest[0].id):
            yield page


async def redrive(client: Redis, spec: QueueSpec, ids: Sequence[str], *, into: str = "") -> int:
    """Put the dead letters of `ids` back into the stream, attempts at zero, task id kept; how many were still there.

    A hundred or so at a time: it is one script, which blocks the server. `into` is another stream to put them in.
    Raises RedisProblem and WouldReachOthers.
    """
    keys = Keys(spec.stream, spec.group)
    own = into in ("", spec.stream)
    group, sent = spec.group if own else "", StreamKeys(spec.stream).sent("")
    head: list[Arg] = [group, int(spec.delivery.reaches_others), keys.results, sent]
    count = int(await _REDRIVE(client, [keys.dlq, into or keys.stream], [*head, *ids]))
    if count < 0:
        raise WouldReachOthers
    return count


async def purge(client: Redis, spec: QueueSpec, ids: Sequence[str]) -> int:
    """Remove the dead letters of `ids`, at least one; how many were still there. Raises RedisProblem."""
    return int(await execute(client, "XDEL", Keys(spec.stream, spec.group).dlq, *ids))

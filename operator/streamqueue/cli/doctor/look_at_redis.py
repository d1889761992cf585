"""What Redis knows of a queue. Reads only, and no payloads."""

from __future__ import annotations

import asyncio
from difflib import get_close_matches
from typing import Any

from redis.asyncio import Redis

from streamqueue.api.keys import Keys
from streamqueue.api.spec import QueueSpec
from streamqueue.cli.doctor.facts import Group, StreamFacts
from streamqueue.streams import Snapshot, SnapshotRequest, take_snapshot
from streamqueue.streams.durability import read_durability
from streamqueue.streams.entries import read_headers
from streamqueue.streams.errors import ABSENT, execute, or_none
from streamqueue.streams.pending_entries import PendingEntry, pending_entries

TAIL = 500  # newest entries
LETTERS = 100  # newest dead letters
HELD = 2000  # rows of the pending entries list
NAMES = 10_000  # keys that SCAN looks at for a name like the missing one


async def look_at_redis(client: Redis, spec: QueueSpec, pause: float) -> StreamFacts:
    """Two looks, `pause` seconds apart, and the details. Raises RedisProblem."""
    request = SnapshotRequest(spec.stream, spec.group)
    first = await take_snapshot(client, request)
    server = await read_durability(client)
    if not first.stream_exists:
        return StreamFacts(snapshot=first, server=server, streams_nearby=await _nearby(client, spec.stream))
    held, complete = await _held(client, spec, first)
    tail, _ = await read_headers(client, spec.stream, count=TAIL, newest=True)
    letters, _ = await read_headers(client, Keys(spec.stream, spec.group).dlq, count=LETTERS, newest=True)
    groups = await _groups(client, spec.stream)
    await asyncio.sleep(pause)
    return StreamFacts(
        snapshot=first,
        later=await take_snapshot(client, request),
        server=server,
        groups=groups,
        tail=tuple(reversed(tail)),
        letters=tuple(reversed(letters)),
        held=held,
        held_complete=complete,
    )


async def _held(client: Redis, spec: QueueSpec, found: Snapshot) -> tuple[tuple[PendingEntry, ...], bool]:
    rows: list[PendingEntry] = []
    if found.group_exists:
        async for page in pending_entries(client, spec.stream, spec.group):
            rows += page
            if len(rows) >= HELD:
                return tuple(rows), len(rows) >= found.pending
    return tuple(rows), True


async def _groups(client: Redis, stream: str) -> tuple[Group, ...]:
    rows = await execute(client, "XINFO GROUPS", stream)
    return tuple([await _group(client, stream, row) for row in rows[:20]])


async def _group(client: Redis, stream: str, row: dict[str, Any]) -> Group:
    consumers = await or_none(execute(client, "XINFO CONSUMERS", stream, row["name"]), ABSENT) or []  # gone meanwhile
    active = min((each["idle"] / 1000 for each in consumers), default=None)
    return Group(row["name"].decode("utf-8", "replace"), row["last-delivered-id"].decode(), active)


async def _nearby(client: Redis, stream: str) -> tuple[str, ...]:
    """Streams with names like the one that is missing, among the first keys that SCAN comes to."""
    names: list[str] = []
    cursor, seen = 0, 0
    while seen < NAMES:
        cursor, keys = await execute(client, "SCAN", cursor, "COUNT", 1000, "TYPE", "stream")
        names += [key.decode("utf-8", "replace") for key in keys]
        seen += 1000
        if not int(cursor):
            break
    return tuple(get_close_matches(stream, [name for name in names if not name.endswith(":dlq")], 3, 0.6))

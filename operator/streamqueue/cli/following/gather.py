"""Finds a task's entries: reads ids and `sq-` fields, never payloads."""

from __future__ import annotations

import re

from redis.asyncio import Redis

from streamqueue.api.keys import Keys, StreamKeys
from streamqueue.cli.following.facts import TaskFacts
from streamqueue.cli.moments import is_entry_id
from streamqueue.cli.progress import progress
from streamqueue.cli.target import Target
from streamqueue.maintenance import letters
from streamqueue.streams.entries import Entry, header_pages, read_entries, read_headers
from streamqueue.streams.entry_ids import entry_order, successor
from streamqueue.streams.errors import execute
from streamqueue.streams.pending_entries import PendingEntry, pending_entry

DEPTH = 1_000_000  # entries looked at, at most
CLOCK_SKEW = 60_000  # ms by which a clock that gave an id may be ahead of this Redis's

_UUID7 = re.compile(r"([0-9a-f]{8})-?([0-9a-f]{4})-?7[0-9a-f]{3}-?[89ab][0-9a-f]{3}-?[0-9a-f]{12}", re.IGNORECASE)


async def gather(target: Target, wanted: str) -> TaskFacts:
    """Raises RedisProblem; Failure where there is no stream or group."""
    client, stream = target.client, target.spec.stream
    snapshot = await target.snapshot()
    info = await execute(client, "XINFO STREAM", stream)
    oldest = await read_entries(client, stream, count=1)
    dead = [
        letter
        async for page in letters(client, target.spec)
        for letter in page
        if wanted in (letter.task, letter.field("sq-entry"))
    ]
    task = await _task_of(target, wanted, dead)
    entries, complete = await _entries(target, wanted, task, snapshot.length)
    rows = [await _held(target, entry_id) for entry_id in {wanted, *(entry.id for entry in entries)}]
    held = sorted(filter(None, rows), key=lambda row: row.order)
    keys = Keys(stream, target.spec.group)
    return TaskFacts(
        wanted=wanted,
        snapshot=snapshot,
        entries=tuple(entries),
        held=tuple(held),
        letters=tuple(dead),
        delayed_until=await _time(client, StreamKeys(stream).delayed, task),
        retry_at=await _time(client, keys.due, held[-1].id) if held else None,
        charged=await charged(client, keys, entries[-1].id) if entries else 0,
        ahead=await _ahead(target, entries, snapshot.last_delivered_id or "0-0"),
        last_generated=info["last-generated-id"].decode(),
        first=oldest[0].id if oldest else None,
        complete=complete,
    )


async def _task_of(target: Target, wanted: str, dead: list[Entry]) -> str:
    """The task id behind an entry id, which may be a retry's copy."""
    if dead:
        return dead[-1].task
    if is_entry_id(wanted):
        found, _ = await read_headers(target.client, target.spec.stream, wanted, wanted, count=1)
        return found[0].task if found else wanted
    return wanted


async def _entries(target: Target, wanted: str, task: str, length: int) -> tuple[list[Entry], bool]:
    found: list[Entry] = []
    seen = 0
    with progress("reading the stream", min(length, DEPTH)) as advance:
        async for page in header_pages(target.client, target.spec.stream, await _start(target, task)):
            found += [entry for entry in page if entry.task == task or entry.id == wanted]
            seen += len(page)
            advance(len(page))
            if seen >= DEPTH:
                return found, False
    return found, True


async def _start(target: Target, task: str) -> str:
    """Nothing of a task is older than its id, if that tells a time."""
    uuid = _UUID7.fullmatch(task)
    if not uuid and not is_entry_id(task):
        return "-"
    if not uuid and (await read_headers(target.client, target.spec.stream, task, task, count=1))[0]:
        return task
    # Given by a producer, or by the server of a pipeline's first stage.
    given = int(uuid[1] + uuid[2], 16) if uuid else entry_order(task)[0]
    return str(max(0, given - CLOCK_SKEW))


async def _held(target: Target, entry_id: str) -> PendingEntry | None:
    if not is_entry_id(entry_id):
        return None
    return await pending_entry(target.client, target.spec.stream, target.spec.group, entry_id)


async def charged(client: Redis, keys: Keys, entry_id: str) -> int:
    """Attempts that workers were charged for this entry and that it doesn't carry itself."""
    count = await execute(client, "HGET", keys.attempts, entry_id)
    return int(count or 0)


async def _time(client: Redis, key: str, member: str) -> float | None:
    """Unix seconds in a sorted set of milliseconds."""
    score = await execute(client, "ZSCORE", key, member)
    return None if score is None else float(score) / 1000


async def _ahead(target: Target, entries: list[Entry], delivered: str) -> int | None:
    waiting = [entry.id for entry in entries if entry_order(entry.id) > entry_order(delivered)]
    if not waiting:
        return None
    page, stopped = await read_headers(target.client, target.spec.stream, successor(delivered), waiting[-1])
    return len(page) - 1 if not stopped and page and page[-1].id == waiting[-1] else None

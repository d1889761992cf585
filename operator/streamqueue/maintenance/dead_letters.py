"""The group's dead letters: listed, put back, or removed. All safe to repeat: what was done is no longer there."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from redis.asyncio import Redis

from streamqueue.api.keys import Keys
from streamqueue.api.spec import QueueSpec
from streamqueue.streams.entries import Entry, header_pages, read_entries
from streamqueue.streams.errors import execute
from streamqueue.streams.script import Arg, Script

STEP = 100  # dead letters per script call: a script blocks the server

_REDRIVE = Script.beside(__package__, "clock.lua", "reaches_others.lua", "redrive.lua")


@dataclass(frozen=True, slots=True)
class Redrive:
    """How many went back; `needs_worker`: none, since the stream has other groups that a copy would reach."""

    redriven: int
    needs_worker: bool = False


async def letters(client: Redis, spec: QueueSpec) -> AsyncIterator[list[Entry]]:
    """Pages of the dead letters that are there now, oldest first, without their payloads. Raises RedisProblem."""
    dlq = Keys(spec.stream, spec.group).dlq
    newest = await read_entries(client, dlq, count=1, newest=True)
    if newest:
        async for page in header_pages(client, dlq, end=newest[0].id):
            yield page


async def redrive(client: Redis, spec: QueueSpec, *, ids: Sequence[str] | None = None, into: str = "") -> Redrive:
    """Put dead letters back into the stream, attempts at zero, task id kept: those of `ids`, or all there are now.

    `into` is another stream to put them in. Letters that die again meanwhile are left for the next redrive.
    Raises RedisProblem.
    """
    keys = Keys(spec.stream, spec.group)
    own = into in ("", spec.stream)
    total = 0
    async for step in _steps(client, spec, ids):
        head: list[Arg] = [spec.group if own else "", int(spec.delivery.reaches_others), keys.results]
        count = int(await _REDRIVE(client, [keys.dlq, into or keys.stream], [*head, *step]))
        if count < 0:
            return Redrive(total, needs_worker=True)
        total += count
    return Redrive(total)


async def purge(client: Redis, spec: QueueSpec, *, ids: Sequence[str] | None = None) -> int:
    """Remove the dead letters of `ids`, or all there are now; how many. Raises RedisProblem."""
    dlq = Keys(spec.stream, spec.group).dlq
    return sum([int(await execute(client, "XDEL", dlq, *step)) async for step in _steps(client, spec, ids)])


async def _steps(client: Redis, spec: QueueSpec, ids: Sequence[str] | None) -> AsyncIterator[Sequence[str]]:
    if ids is not None:
        for start in range(0, len(ids), STEP):
            yield ids[start : start + STEP]
        return
    async for page in letters(client, spec):
        for start in range(0, len(page), STEP):
            yield [letter.id for letter in page[start : start + STEP]]

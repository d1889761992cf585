"""A trace from the entries that a stream still holds: what came before is the best guess of what will come."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Mapping, Sequence

from redis.asyncio import Redis

from streamqueue.api.keys import Keys
from streamqueue.simulate.trace import Trace, TraceError, trace_of
from streamqueue.streams.entries import Entry, header_pages
from streamqueue.streams.entry_ids import YEAR_2000
from streamqueue.streams.errors import typed

MOST = 2_000_000  # entries: bounds memory
YEAR_2100 = 4_102_444_800_000  # milliseconds: an id beyond is no time
RESULTS_AT_ONCE = 500


async def read_arrivals(
    client: Redis, stream: str, start: str = "-", advance: Callable[[int], None] = lambda _: None
) -> list[tuple[str, float]]:
    """Task id and arrival time (unix seconds) of the tasks from the id `start` on, at most `MOST`, oldest first.

    Payloads stay on the server. Copies that a retry made are no arrivals. Raises TraceError where ids are no times,
    and RedisProblem.
    """
    found: list[tuple[str, float]] = []
    async for page in header_pages(client, stream, start):
        advance(len(page))
        found += [(entry.task, _arrival(entry, stream)) for entry in page if entry.field("sq-attempt") is None]
        if len(found) >= MOST:
            break
    if not found:
        what = "no entries" if start == "-" else "no tasks from then on"
        raise TraceError(f"stream {stream!r} holds {what}: nothing to learn from")
    return found


async def known_services(client: Redis, keys: Keys, tasks: Sequence[str]) -> dict[str, float]:
    """Service seconds by task id, of the last run of each whose result is still kept. Raises RedisProblem.

    Looks at the newest first, and no further than results go: they expire by age.
    """
    known: dict[str, float] = {}
    for end in range(len(tasks), 0, -RESULTS_AT_ONCE):
        batch, before = tasks[max(0, end - RESULTS_AT_ONCE) : end], len(known)
        for task, (state, started, at) in zip(batch, await typed(_results(client, keys, batch)), strict=True):
            if state == b"done" and started and at:
                known[task] = max(0.0, (int(at) - int(started)) / 1000)
        if len(known) == before:
            break
    return known


def history_trace(
    name: str, arrivals: Sequence[tuple[str, float]], known: Mapping[str, float], otherwise: float | None, seed: int
) -> Trace:
    """`otherwise`: service seconds of tasks of which nothing is known; without it they draw from the known.

    Raises TraceError where neither is there.
    """
    if otherwise is None and not known:
        raise TraceError("no results tell how long tasks take: give --service, as in --service 2s")
    dice, drawn = random.Random(seed), sorted(known.values())  # noqa: S311 - dice, no secrets
    rest = itertools.repeat(otherwise) if otherwise is not None else iter(lambda: dice.choice(drawn), None)
    return trace_of(name, [(at, known[task] if task in known else next(rest)) for task, at in arrivals])


async def _results(client: Redis, keys: Keys, tasks: Sequence[str]) -> list[list[bytes | None]]:
    async with client.pipeline(transaction=False) as pipe:
        for task in tasks:
            pipe.hmget(keys.results + task, ["state", "started", "at"])
        return list(await pipe.execute())


def _arrival(entry: Entry, stream: str) -> float:
    """Unix seconds."""
    since = entry.field("sq-enqueued-at") or entry.id.partition("-")[0]
    if len(since) > 20 or not since.isdecimal() or not YEAR_2000 <= int(since) < YEAR_2100:
        raise TraceError(f"stream {stream!r}: the id {entry.id} is no time, so nobody can tell when the task came")
    return int(since) / 1000

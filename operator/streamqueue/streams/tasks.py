"""One worker process's hold on tasks: every change of ownership is one script, fenced by owner and token."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby
from operator import attrgetter, itemgetter
from typing import Any, NamedTuple

from redis.asyncio import Redis

from streamqueue.api.keys import Keys, beyond
from streamqueue.streams.entry_ids import successor
from streamqueue.streams.errors import execute
from streamqueue.streams.reach import Reach
from streamqueue.streams.script import Arg, Script

PARKED = "streamqueue:parked"  # the consumer that holds what waits for its retry
YEAR_2000 = 946684800000  # unix ms

_COMMON = Script.beside(__package__, "task_common.lua").source


def _script(name: str) -> Script:
    return Script(_COMMON + Script.beside(__package__, name).source)


_EXCHANGE = _script("task_exchange.lua")
_ADOPT = _script("task_adopt.lua")
_CLAIM = _script("task_claim.lua")
_RENEW = _script("task_renew.lua")
_LEAVE = _script("task_leave.lua")


class Verdict(StrEnum):
    """What became of a settlement."""

    ACKED = "acked"
    PARKED = "parked"  # for its retry
    DEAD = "dead"  # in the dead-letter stream
    HELD = "held"  # parked, because the dead-letter stream is full
    RELEASED = "released"  # handed back
    ALREADY_MINE = "already-mine"  # an earlier call of the same run did it; its reply was lost
    STOLEN = "stolen"  # the lease was lost: nothing was done
    GONE = "gone"  # the payload had been deleted


# Half of the time that a named tuple takes to be made by its name: there is one for each task.
_made = tuple.__new__

_VERDICTS = {verdict.value.encode(): verdict for verdict in Verdict}


@dataclass(frozen=True, slots=True)
class Limits:
    """What the queue's spec says of delivery. Seconds; `results_ttl` 0: no results are kept."""

    visibility_timeout: float = 300.0
    max_deliveries: int = 5
    dead_letter_max_length: int = 10_000
    results_ttl: float = 0.0


class Entry(NamedTuple):
    """A task in this worker's hands, fenced by `token`. `attempts` were charged before, `crashes` killed a worker.

    `deliveries` counts this one, and those that were not charged.
    """

    id: str
    token: str
    fields: dict[bytes, bytes]
    attempts: int
    crashes: int
    deliveries: int = 1

    @property
    def enqueued_at(self) -> float:
        """Unix seconds at which the task was added, or due; 0.0 if the producer's ids are no times."""
        return _seconds(self.fields.get(b"sq-enqueued-at") or self.id.partition("-")[0])


class New:
    """New entries as they were taken, in columns, under one token: `entries()` makes an object of each.

    `ids` have blanks between, `rows` are names and values in turn.
    """

    def __init__(self, ids: bytes, rows: Sequence[Sequence[bytes]], token: str) -> None:
        self.token = token
        self.ids = ids
        self.fields = [{flat[0]: flat[1]} if len(flat) == 2 else _fields(flat) for flat in rows]

    def __len__(self) -> int:
        return len(self.fields)

    def enqueued_at(self) -> list[float]:
        """As that of each entry, or less than a millisecond later."""
        if any(b"sq-enqueued-at" in fields for fields in self.fields):
            return [entry.enqueued_at for entry in self.entries()]
        times = map(float, self.ids.replace(b"-", b".").split())
        return [time / 1000 if time >= YEAR_2000 else 0.0 for time in times]

    def entries(self) -> list[Entry]:
        """Nothing is charged but what a copy carries along."""
        entries = []
        for entry_id, fields in zip(self.ids.decode().split(), self.fields, strict=True):
            carried = fields.get(b"sq-attempt")
            attempts = int(carried) if carried and carried.isdigit() else 0
            entries.append(_made(Entry, (entry_id, self.token, fields, attempts, 0, 1)))
        return entries


@dataclass(frozen=True, slots=True)
class Emit:
    """An entry for another stream, appended with the acknowledgement, or by way of the outbox.

    `is_beyond`: the stream is on the endpoint of `next.redis`.
    """

    stream: str
    fields: Sequence[tuple[str, str | bytes]]
    is_beyond: bool = False


class Settlement(NamedTuple):
    """How a run ended, as task_exchange.lua takes it: an "ack" with nothing to note or emit has no `args`."""

    kind: str
    args: tuple[Arg, ...] = ()
    emits: tuple[Emit, ...] = ()


ACKNOWLEDGED = Settlement("ack")  # with nothing to note, nothing to emit

_SETTLEMENT, _TOKEN = itemgetter(1), attrgetter("token")


@dataclass(frozen=True, slots=True)
class Exchange:
    verdicts: list[Verdict]  # of what ended, then of what is done
    again: list[Entry]  # retries that were due
    new: New
    next_due: float | None  # seconds until a parked entry falls due
    outboxed: bool = False  # something was put into an outbox: it wants a relay


class TaskStore:
    """The scripts of one consumer. All methods raise RedisProblem; all may be repeated after a lost reply."""

    def __init__(self, client: Redis, keys: Keys, consumer: str, limits: Limits) -> None:
        self._client = client
        self._keys = keys
        self._consumer = consumer
        self.reach = Reach(client, keys.stream)
        self._names = [keys.stream, keys.lease, keys.due, keys.attempts, keys.done, keys.dlq]
        self._head: list[Arg] = [
            keys.group,
            consumer,
            int(limits.visibility_timeout * 1000),
            limits.max_deliveries,
            limits.dead_letter_max_length,
            int(limits.results_ttl * 1000),
            keys.results,
        ]

    async def exchange(
        self, ended: Sequence[tuple[Entry, Settlement]], wanted: int, due_first: int, done: New | None = None
    ) -> Exchange:
        """Settle what ended and acknowledge what is `done` as it was taken, then take up to `wanted` entries,
        `due_first` of them retries if so many are due.
        """
        token = secrets.token_hex(8)
        names = [*self._names, self._keys.outboxes]
        args: list[Arg] = [*self._head, token, wanted, due_first]
        for settlement, group in groupby(ended, _SETTLEMENT):
            entries = [entry for entry, _ in group]
            if settlement == ACKNOWLEDGED:
                for run_token, alike in groupby(entries, _TOKEN):
                    args += ("acks", "", run_token, 1, " ".join([entry.id for entry in alike]))
                continue
            for entry in entries:
                values = [*settlement.args, *await self._emits(settlement.emits, names)]
                args += (settlement.kind, entry.id, entry.token, len(values), *values)
        if done:
            args += ("whole", "", done.token, 1, done.ids)
        verdicts, again, (ids, rows), due = await _EXCHANGE(self._client, names, args)
        return Exchange(
            [each for verdict, times in verdicts for each in [_VERDICTS[verdict]] * times],
            [_entry(row, token) for row in again],
            New(ids, rows, token),
            next_due=due / 1000 if due >= 0 else None,
            outboxed=any(name.startswith(self._keys.outbox("")) for name in names[len(self._names) :]),
        )

    async def adopt(self, running: Iterable[str], most: int) -> list[Entry]:
        """What this consumer holds but does not run: brought by a blocked read, or hidden by a lost reply."""
        token = secrets.token_hex(8)
        rows = await _ADOPT(self._client, self._names, [*self._head, token, most, *running])
        return [_entry(row, token) for row in rows]

    async def claim(self, most: int, start: str) -> tuple[list[Entry], str]:
        """Stuck work of others, seen from entry id `start` on ("-": the first); and where to go on."""
        token = secrets.token_hex(8)
        rows, last = await _CLAIM(self._client, self._names, [*self._head, token, most, start])
        return [_entry(row, token) for row in rows], successor(last.decode()) if last else "-"

    async def renew(self, leases: Iterable[tuple[str, str, str, str]]) -> list[str]:
        """Renew leases, given as (entry id, token, task id, progress or ""); the ids whose lease is lost."""
        args = [value for lease in leases for value in lease]
        return [entry.decode() for entry in await _RENEW(self._client, self._names, [*self._head, *args])]

    async def wait(self, most: int, seconds: float) -> bool:
        """Block until new entries are this consumer's, `most` at once; `adopt` has them. Must not be cancelled:
        entries of a reply that nobody reads are out of sight until `adopt`.
        """
        block = max(1, int(seconds * 1000))
        command = ("XREADGROUP", "GROUP", self._keys.group, self._consumer, "COUNT", most, "BLOCK", block)
        return bool(await execute(self._client, *command, "STREAMS", self._keys.stream, ">"))

    async def leave(self) -> bool:
        """Delete the consumer if it holds nothing."""
        return bool(await _LEAVE(self._client, self._names, self._head))

    async def _emits(self, emits: Sequence[Emit], names: list[str]) -> list[Arg]:
        values: list[Arg] = []
        for emit in emits:
            name = await self._place(emit)
            if name not in names:
                names.append(name)
            values += [names.index(name) + 1, 2 * len(emit.fields), *(part for field in emit.fields for part in field)]
        return values

    async def _place(self, emit: Emit) -> str:
        """The key that the script writes: the stream, or the outbox for it."""
        if emit.is_beyond:
            return self._keys.outbox(beyond(emit.stream))
        return emit.stream if await self.reach.covers(emit.stream) else self._keys.outbox(emit.stream)


def _entry(row: Any, token: str) -> Entry:
    entry_id, flat, attempts, crashes, deliveries = row
    return Entry(entry_id.decode(), token, _fields(flat), attempts, crashes, deliveries)


def _fields(flat: Sequence[bytes]) -> dict[bytes, bytes]:
    return dict(zip(flat[::2], flat[1::2], strict=True))


def _seconds(milliseconds: str | bytes) -> float:
    value = float(milliseconds) if milliseconds.isdigit() else 0.0  # int() takes twice as long for so many digits
    return value / 1000 if value >= YEAR_2000 else 0.0

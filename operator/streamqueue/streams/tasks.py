"""One worker process's hold on tasks: every change of ownership is one script, fenced by owner and token."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import attrgetter, itemgetter

from redis.asyncio import Redis

from streamqueue.api.keys import Keys, target_on_next_redis
from streamqueue.streams.connection import block_for
from streamqueue.streams.entry_ids import successor
from streamqueue.streams.errors import execute
from streamqueue.streams.reach import Reach
from streamqueue.streams.script import Arg, Script
from streamqueue.streams.settlement import ACKNOWLEDGED, Emit, Settlement, Verdict
from streamqueue.streams.taken import NewEntries, Taken, entry_of

PARKED = "streamqueue:parked"  # the consumer that holds what waits for its retry


def _script(name: str) -> Script:
    return Script.beside(__package__, "clock.lua", "task.lua", "task_common.lua", name)


_EXCHANGE = _script("task_exchange.lua")
_ADOPT = _script("task_adopt.lua")
_CLAIM = _script("task_claim.lua")
_RENEW = _script("task_renew.lua")
_LEAVE = _script("task_leave.lua")

_VERDICTS = {verdict.value.encode(): verdict for verdict in Verdict}
_SETTLEMENT, _TOKEN = itemgetter(1), attrgetter("token")


@dataclass(frozen=True, slots=True)
class Limits:
    """What the queue's spec says of delivery. Seconds; `results_ttl` 0: no results are kept."""

    visibility_timeout: float = 300.0
    max_deliveries: int = 5
    dead_letter_max_length: int = 10_000
    results_ttl: float = 0.0


@dataclass(frozen=True, slots=True)
class Exchange:
    verdicts: list[Verdict]  # of what ended, then of what is done
    again: list[Taken]  # retries that were due
    new: NewEntries
    next_due: float | None  # seconds until a parked entry falls due
    outboxed: bool = False  # something was put into an outbox: it wants a relay
    cordoned: bool = False  # nothing was taken, as this worker is to take no more for now


class TaskStore:
    """The scripts of one consumer. All methods raise RedisProblem; all may be repeated after a lost reply."""

    def __init__(self, client: Redis, keys: Keys, consumer: str, limits: Limits) -> None:
        self._client = client
        self._keys = keys
        self._consumer = consumer
        self.reach = Reach(client, keys.stream)
        self._names = [keys.stream, keys.lease, keys.due, keys.attempts, keys.done, keys.dlq]
        self._exchanged = [*self._names, keys.outboxes, keys.cordon]
        self._outbox = keys.outbox("")
        self._tokens = map(f"{secrets.token_hex(8)}{{:x}}".format, itertools.count())
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
        self, ended: Sequence[tuple[Taken, Settlement]], wanted: int, due_first: int, done: NewEntries | None = None
    ) -> Exchange:
        """Settle what ended and acknowledge what is `done` as it was taken, then take up to `wanted` entries,
        `due_first` of them retries if so many are due.
        """
        token = next(self._tokens)
        names = list(self._exchanged)
        args: list[Arg] = [*self._head, token, wanted, due_first]
        for settlement, group in itertools.groupby(ended, _SETTLEMENT):
            entries = [entry for entry, _ in group]
            if settlement == ACKNOWLEDGED:
                for run_token, alike in itertools.groupby(entries, _TOKEN):
                    args += ("acks", "", run_token, 1, " ".join([entry.id for entry in alike]))
                continue
            for entry in entries:
                values = [*settlement.args, *await self._emits(settlement.emits, names)]
                args += (settlement.kind, entry.id, entry.token, len(values), *values)
        if done:
            args += ("whole", "", done.token, 1, done.ids)
        verdicts, again, (ids, rows), due, cordoned = await _EXCHANGE(self._client, names, args)
        return Exchange(
            [each for verdict, times in verdicts for each in [_VERDICTS[verdict]] * times],
            [entry_of(row, token) for row in again],
            NewEntries(ids, rows, token),
            next_due=due / 1000 if due >= 0 else None,
            outboxed=any(name.startswith(self._outbox) for name in names[len(self._exchanged) :]),
            cordoned=bool(cordoned),
        )

    async def adopt(self, running: Iterable[str], most: int) -> list[Taken]:
        """What this consumer holds but does not run: brought by a blocked read, or hidden by a lost reply."""
        token = next(self._tokens)
        rows = await _ADOPT(self._client, self._names, [*self._head, token, most, *running])
        return [entry_of(row, token) for row in rows]

    async def claim(self, most: int, start: str) -> tuple[list[Taken], str]:
        """Stuck work of others, seen from entry id `start` on ("-": the first); and where to go on."""
        token = next(self._tokens)
        rows, last = await _CLAIM(self._client, self._names, [*self._head, token, most, start])
        return [entry_of(row, token) for row in rows], successor(last.decode()) if last else "-"

    async def renew(self, leases: Sequence[tuple[str, str, str, str]]) -> list[tuple[str, str]]:
        """Renew leases, given as (entry id, token, task id, progress or ""); id and token of those that are lost."""
        args = [value for lease in leases for value in lease]
        return [leases[n][:2] for n in await _RENEW(self._client, self._names, [*self._head, *args])]

    async def wait(self, most: int, seconds: float) -> bool:
        """Block until new entries are this consumer's, `most` at once; `adopt` has them. Must not be cancelled:
        entries of a reply that nobody reads are out of sight until `adopt`.
        """
        block = block_for(self._client, seconds)
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
        if emit.on_next_redis:
            return self._keys.outbox(target_on_next_redis(emit.stream))
        return emit.stream if await self.reach.covers(emit.stream) else self._keys.outbox(emit.stream)

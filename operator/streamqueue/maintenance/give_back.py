"""Pending entries back to work: the one script through which retries and dead letters go."""

from __future__ import annotations

from collections.abc import Sequence

from redis.asyncio import Redis

from streamqueue.api.keys import Keys, StreamKeys
from streamqueue.api.spec import Protocol, QueueSpec
from streamqueue.maintenance.report import ReleaseReport
from streamqueue.streams.pending_entries import PendingEntry
from streamqueue.streams.script import Arg, Script
from streamqueue.streams.tasks import PARKED

CHUNK = 100  # entries per script call: a script blocks the server

_SCRIPT = Script.beside(__package__, "clock.lua", "task.lua", "return.lua")


async def give_back(
    client: Redis,
    spec: QueueSpec,
    entries: Sequence[PendingEntry],
    charged: set[str],
    cause: str,
    report: ReleaseReport,
    *,
    is_dead: bool = False,
) -> None:
    """Return `entries`, each only if it is still as it was seen; add the counts to `report`.

    What a worker of the SDK has leased is left to it, unless the consumer `is_dead`: then others may claim it at once.

    Safe to repeat after a lost reply: what was given back is no longer pending. Raises RedisProblem; the counts of the
    call that failed are then unknown.
    """
    keys = Keys(spec.stream, spec.group)
    delivery = spec.delivery
    names = [keys.stream, keys.dlq, keys.lease, keys.due, keys.attempts, keys.returns]
    limits: list[Arg] = [spec.group, delivery.max_deliveries, delivery.dead_letter_max_length]
    kept = int((spec.results_ttl or 0) * 1000)
    are_leasing = spec.handler.protocol is not Protocol.REDIS  # so that what has no lease was not begun
    head = [*limits, cause, int(is_dead), PARKED, int(delivery.reaches_others), keys.results, kept, int(are_leasing)]
    head.append(StreamKeys(spec.stream).sent(""))
    for start in range(0, len(entries), CHUNK):
        args = list(head)
        for entry in entries[start : start + CHUNK]:
            args += [entry.id, entry.consumer, entry.idle, int(entry.id in charged)]
        report.add(await _SCRIPT(client, names, args))

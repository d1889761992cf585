"""The whole pass: the net below the controller, run by the CronJob."""

from __future__ import annotations

import time

from redis.asyncio import Redis

from streamqueue.api.keys import Keys, shown
from streamqueue.api.spec import QueueSpec
from streamqueue.maintenance.attempts import started
from streamqueue.maintenance.consumers import delete_idle_consumers
from streamqueue.maintenance.give_back import give_back
from streamqueue.maintenance.quiet import check_server
from streamqueue.maintenance.relay import NO_NEXT_REDIS, NextRedis, relay
from streamqueue.maintenance.report import SweepReport
from streamqueue.maintenance.returns import Cause
from streamqueue.maintenance.trim import trim
from streamqueue.streams.enqueue import promote
from streamqueue.streams.errors import ProblemKind, RedisProblem
from streamqueue.streams.pending_entries import PendingEntry, pending_entries

BUDGET = 120.0  # seconds for a pass
WINDOW = 10_000  # entries judged together, so that a batch is seen whole


async def sweep(
    client: Redis, spec: QueueSpec, *, budget: float = BUDGET, next_redis: NextRedis = NO_NEXT_REDIS
) -> SweepReport:
    """Let in delayed tasks that are due, return what idled past the visibility timeout, trim, delete idle consumers.

    Takes about `budget` seconds at most. Safe to repeat and to run twice at once. Raises RedisProblem.
    """
    report = SweepReport()
    deadline = time.monotonic() + budget
    with report.noting_absence():
        try:
            await _bring_back(client, spec, deadline, report, budget, next_redis)
        except RedisProblem as problem:
            if problem.kind is not ProblemKind.OUT_OF_MEMORY:
                raise
            await trim(client, spec, deadline, report)  # which needs no memory, and may give the rest some
            await _bring_back(client, spec, deadline, report, budget, next_redis)
        await trim(client, spec, deadline, report)
        report.consumers_deleted = await delete_idle_consumers(client, spec, deadline)
    return report


async def _bring_back(
    client: Redis, spec: QueueSpec, deadline: float, report: SweepReport, budget: float, next_redis: NextRedis
) -> None:
    await _promote(client, spec, deadline, report)
    relayed = await relay(client, Keys(spec.stream, spec.group), budget=budget / 2, next_redis=next_redis)
    report.relayed += relayed.delivered
    report.stuck = tuple(map(shown, relayed.stuck))
    await _reclaim(client, spec, deadline, report)


async def _promote(client: Redis, spec: QueueSpec, deadline: float, report: SweepReport) -> None:
    until: float | None = 0.0
    while until == 0.0 and time.monotonic() < deadline:
        count, until = await promote(client, spec.stream)
        report.promoted += count


async def _reclaim(client: Redis, spec: QueueSpec, deadline: float, report: SweepReport) -> None:
    report.quiet = await check_server(client, spec)
    if report.quiet.until is not None:
        return
    min_idle = int(spec.delivery.visibility_timeout * 1000)
    window: list[PendingEntry] = []
    async for page in pending_entries(client, spec.stream, spec.group, min_idle=min_idle):
        window += page
        if len(window) >= WINDOW:
            await _return(client, spec, window, report)
            if time.monotonic() > deadline:
                report.out_of_time = True
                return
            window = []
    await _return(client, spec, window, report)


async def _return(client: Redis, spec: QueueSpec, entries: list[PendingEntry], report: SweepReport) -> None:
    handler = spec.handler
    charged = started(entries, concurrency=handler.concurrency, batch=handler.batch, own_consumer=False)
    await give_back(client, spec, entries, charged, Cause.VISIBILITY_TIMEOUT, report)

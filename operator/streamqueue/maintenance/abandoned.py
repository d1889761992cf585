"""Entries that a live worker has left behind: its handler failed and the loop went on without XACK."""

from __future__ import annotations

from redis.asyncio import Redis

from streamqueue.api.spec import QueueSpec
from streamqueue.maintenance.attempts import overtaken
from streamqueue.maintenance.give_back import give_back
from streamqueue.maintenance.report import ReleaseReport
from streamqueue.maintenance.returns import Cause
from streamqueue.streams.errors import execute
from streamqueue.streams.pending_entries import pending_entries
from streamqueue.streams.server import clock_of


async def abandoned(client: Redis, spec: QueueSpec, consumer: str) -> ReleaseReport:
    """Give back, charged, what `consumer` was handed before its newest read; never the newest batch itself.

    Only for a name that one live pod has to itself. Does nothing unless the handler's concurrency is 1: with more, a
    later read says nothing about earlier tasks. Safe to repeat. Raises RedisProblem.
    """
    report = ReleaseReport()
    if spec.handler.concurrency != 1:
        return report
    with report.noting_absence():
        # Before the list is read, so that the command is surely later than the deliveries it is compared with.
        last_command = await _last_command(client, spec, consumer)
        pages = pending_entries(client, spec.stream, spec.group, consumer=consumer)
        held = [entry async for page in pages for entry in page]
        left = overtaken(held, last_command)
        await give_back(client, spec, left, {entry.id for entry in left}, Cause.ABANDONED, report)
    return report


async def _last_command(client: Redis, spec: QueueSpec, consumer: str) -> int | None:
    """When the consumer last tried to read, in ms by Redis's clock; None before Redis 7.2, which keeps reads that
    brought something only.
    """
    now = await clock_of(client)
    for row in await execute(client, "XINFO CONSUMERS", spec.stream, spec.group):
        if row["name"] == consumer.encode() and "inactive" in row:
            return int(now * 1000 - row["idle"])
    return None

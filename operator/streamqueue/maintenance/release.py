"""A crashed worker's entries return at once: a container's end is evidence, so that no timeout is awaited."""

from __future__ import annotations

from redis.asyncio import Redis

from streamqueue.api.spec import QueueSpec
from streamqueue.maintenance.attempts import started
from streamqueue.maintenance.give_back import give_back
from streamqueue.maintenance.report import ReleaseReport
from streamqueue.streams.pending_entries import pending_entries


async def release(
    client: Redis, spec: QueueSpec, consumer: str, delivered_before: float, cause: str, *, charge: bool = True
) -> ReleaseReport:
    """Give back what `consumer` was handed before `delivered_before` (unix seconds by Redis's clock).

    Only for a consumer name that one container had to itself, and that container's end. `cause` is a word for the
    dead letter, such as `OOMKilled`. Without `charge` no task pays an attempt. Safe to repeat. Raises RedisProblem.
    """
    report = ReleaseReport()
    limit = delivered_before * 1000
    with report.noting_absence():
        pages = pending_entries(client, spec.stream, spec.group, consumer=consumer)
        entries = [entry async for page in pages for entry in page if entry.delivered_at < limit]
        handler = spec.handler
        begun = started(entries, concurrency=handler.concurrency, batch=handler.batch, own_consumer=True)
        await give_back(client, spec, entries, begun if charge else set(), cause, report, is_dead=True)
    return report

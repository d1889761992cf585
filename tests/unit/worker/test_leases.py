"""The heartbeat's task, without Redis: nothing is in hand."""

from __future__ import annotations

import asyncio

from redis.asyncio import Redis

from streamqueue.api.keys import Keys
from streamqueue.streams.tasks import Limits, TaskStore
from streamqueue.worker.leases import Leases
from streamqueue.worker.runs import Runs


async def test_it_ends_though_progress_is_reported_as_it_is_cancelled() -> None:
    store = TaskStore(Redis(), Keys("orders", "workers"), "pod.1", Limits())
    leases = Leases(store, Runs(1), 60.0, lambda _: None, lambda _: None)
    heart = asyncio.create_task(leases.keep())
    for _ in range(3):
        await asyncio.sleep(0)
    leases.report_progress()
    heart.cancel()
    await asyncio.wait({heart}, timeout=5)
    assert heart.cancelled()

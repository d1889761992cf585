"""A Redis that comes back with nothing: what is added to it from then on is delivered."""

from __future__ import annotations

import asyncio

import pytest

from streamqueue.streams import connect
from tests.redis.proxy import Proxy
from tests.redis.queue import Queue
from tests.redis.servers.process import RunningServer, free_port
from tests.redis.worker.pod import a_read_is_under_way, until, working


@pytest.mark.process
@pytest.mark.parametrize("start_from", ["0", "$"])
async def test_what_comes_before_the_group_is_made_anew_is_not_skipped(
    own_server: RunningServer, start_from: str
) -> None:
    """Nor does that which a group that begins at $ never wanted run."""
    done: list[str] = []

    async def handle(task: dict[str, str]) -> None:
        done.append(task["task"])

    async with connect(own_server.url) as redis, Proxy(own_server.port) as proxy:
        await redis.xadd(Queue.stream, {"task": "old"}, id="1-0")
        async with working(proxy.url, handle, start_from=start_from):
            await a_read_is_under_way(Queue(redis))
            for task in ("first", "second"):
                await redis.xadd(Queue.stream, {"task": task})
                await until(lambda task=task: done and done[-1] == task, task)
                await redis.xgroup_destroy(Queue.stream, Queue.group)
            assert ("old" in done) == (start_from == "0")
            proxy.lead_to(free_port())
            await asyncio.to_thread(own_server.restart)
            await redis.xadd(Queue.stream, {"task": "third"})
            proxy.lead_to(own_server.port)
            await until(lambda: done[-1] == "third", "the third")

"""A failover to a server of another version: what it can do is found out in the call that would use it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from streamqueue.maintenance import sweep
from streamqueue.streams import LagRule, connect
from tests.redis.connections import steps
from tests.redis.proxy import Proxy
from tests.redis.queue import Queue, spec
from tests.redis.servers.install import install
from tests.redis.servers.process import RunningServer
from tests.redis.worker.stores import claim, expire, store, take

OLD, NEW = "redis-6.0", "redis-8.6"


@pytest.fixture
async def servers() -> AsyncIterator[dict[str, RunningServer]]:
    running = [await asyncio.to_thread(RunningServer, install(name)) for name in (OLD, NEW)]
    yield {each.server.name: each for each in running}
    for each in running:
        each.close()


async def work(client: Redis, version: str) -> None:
    """All that asks for more than Redis 6.0 has: the lag, ranges, and pending entries by idle time."""
    queue = Queue(client)
    await queue.create()
    await queue.add(6)
    await queue.read("plain", count=1)
    found = await queue.snapshot()
    assert (found.undelivered, found.lag_rule) == (5, LagRule.SERVER if version == NEW else LagRule.COUNTED)
    (held,) = await take(store(client, "sdk.1"), 1)
    await expire(queue, held.id)
    assert [each.id for each in await claim(store(client, "sdk.2"))] == [held.id]
    await queue.settle(spec())
    await queue.age(61, *(each for each in await queue.pending() if each != held.id))
    assert (await sweep(client, spec())).returned == 1


async def test_what_another_server_can_do_is_noticed_at_once(servers: dict[str, RunningServer]) -> None:
    async with Proxy(servers[NEW].port) as proxy, connect(proxy.url) as client:
        for version in (NEW, OLD, NEW):
            proxy.lead_to(servers[version].port)
            await steps.looks_until_healed(client)
            await client.flushall()
            await work(client, version)

"""A replica becomes the primary: what was confirmed is there, and what may be missing is what nobody confirmed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from redis.asyncio import Redis

from streamqueue import Queue
from streamqueue.streams import connect
from tests.redis.proxy import Proxy
from tests.redis.servers.process import RunningServer

LONG, SHORT = 20.0, 0.2  # seconds of patience: for a replica that answers, and for one that can't


@dataclass
class Pair:
    """A primary, and a replica that hears of it through `link` alone."""

    primary: RunningServer
    replica: RunningServer
    link: Proxy

    async def fail_over(self) -> None:
        """What is on its way to the replica never gets there."""
        await asyncio.to_thread(self.primary.kill)
        async with connect(self.replica.url) as promoted:
            await promoted.execute_command("REPLICAOF", "NO", "ONE")


@pytest.fixture
async def pair(own_server: RunningServer) -> AsyncIterator[Pair]:
    async with Proxy(own_server.port) as link:
        port = link.url.rpartition(":")[2].removesuffix("/0")
        replica = await asyncio.to_thread(RunningServer, own_server.server, {"replicaof": f"127.0.0.1 {port}"})
        try:
            async with Redis.from_url(own_server.url) as primary:
                # A connection that has written nothing would be told yes at once.
                while not (await primary.set("probe", 1) and await primary.wait(1, 200)):
                    pass
            yield Pair(own_server, replica, link)
        finally:
            await asyncio.to_thread(replica.close)


async def tasks_of(server: RunningServer) -> list[str]:
    async with connect(server.url) as client:
        return [fields[b"sq-id"].decode() for _, fields in await client.xrange("orders")]


async def test_only_what_nobody_confirmed_can_be_missing(pair: Pair) -> None:
    confirmed, unconfirmed = set(), set()

    async def send(queue: Queue, *ids: str, replicated: bool) -> None:
        for task in ids:
            sent = await queue.send({"task": task}, id=task, replicated=replicated)
            (confirmed if sent.replicated else unconfirmed).add(task)

    async with Queue(pair.primary.url, "orders", patience=LONG) as orders:
        await send(orders, "a1", "a2", "a3", replicated=True)
        await send(orders, "b1", "b2", replicated=False)
        await send(orders, "a4", replicated=True)  # and with it all that came before
        pair.link.silence()
        await send(orders, "c1", "c2", replicated=False)
    async with Queue(pair.primary.url, "orders", patience=SHORT) as orders:
        await send(orders, "c3", "c4", replicated=True)
    assert confirmed == {"a1", "a2", "a3", "a4"}, "no replica has the others for sure"
    assert len(await tasks_of(pair.primary)) == 10

    await pair.fail_over()
    survived = set(await tasks_of(pair.replica))
    missing = (confirmed | unconfirmed) - survived
    assert confirmed <= survived
    assert len(missing) <= len(unconfirmed)
    assert missing == {"c1", "c2", "c3", "c4"}, "the link wasn't cut where the test means it"

    async with Queue(pair.replica.url, "orders") as orders:
        repeated = {task: (await orders.send({"task": task}, id=task)).repeated for task in sorted(unconfirmed)}
    assert {task for task, again in repeated.items() if not again} == missing, "sent again, the rest is there already"
    assert sorted(await tasks_of(pair.replica)) == sorted(confirmed | unconfirmed)

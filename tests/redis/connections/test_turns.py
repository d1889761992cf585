"""Commands beyond the connections of a pool wait for their turn: a thousand queues look after their groups at once."""

from __future__ import annotations

import asyncio

import pytest
from redis.asyncio import Redis

from streamqueue.api.spec import RedisMode
from streamqueue.streams import ProblemKind, RedisProblem, connect, ensure_group
from streamqueue.streams.connection import MAX_CONNECTIONS, turns
from streamqueue.streams.errors import execute
from tests.redis.servers.process import RunningServer

# What is asked of the server is to block, and to answer.
pytestmark = pytest.mark.on("redis-7.0", "valkey-9.1")

MANY = 10 * MAX_CONNECTIONS


async def all_taken(redis: Redis, client: Redis) -> list[asyncio.Task[object]]:
    """A read on each connection of `client`, which ends with an entry on list `k`."""
    reads = [asyncio.create_task(execute(client, "BLPOP", "k", 0)) for _ in range(MAX_CONNECTIONS)]
    while (await redis.info("clients"))["blocked_clients"] < MAX_CONNECTIONS:  # noqa: ASYNC110 - the event is on the server
        await asyncio.sleep(0.01)
    return reads


@pytest.mark.parametrize("mode", [RedisMode.AUTO, RedisMode.STANDALONE])
async def test_commands_beyond_the_connections_wait_for_one(
    redis: Redis, shared_server: RunningServer, mode: RedisMode
) -> None:
    async with connect(shared_server.url, mode=mode) as client:
        made = await asyncio.gather(*(ensure_group(client, f"s{n}", "workers") for n in range(MANY)))
        assert all(made)
        assert len(await redis.client_list()) <= MAX_CONNECTIONS + 2


async def test_who_gives_up_in_its_turn_leaves_it_to_the_next(shared_server: RunningServer) -> None:
    async with connect(f"{shared_server.url}?max_connections=1", mode=RedisMode.STANDALONE) as client:
        pool = client.connection_pool
        only = await pool.get_connection()
        first, second = (asyncio.create_task(execute(client, "PING")) for _ in range(2))
        await asyncio.sleep(0.05)  # both wait
        await pool.release(only)
        first.cancel()
        assert await asyncio.wait_for(second, turns.PATIENCE / 2)


async def test_a_connection_that_never_comes_free_is_a_timeout(
    redis: Redis, shared_server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "PATIENCE", 0.05)
    async with connect(shared_server.url) as client:
        reads = await all_taken(redis, client)
        with pytest.raises(RedisProblem) as caught:
            await execute(client, "PING")
        assert caught.value.kind is ProblemKind.TIMEOUT
        await redis.rpush("k", *range(MAX_CONNECTIONS))
        await asyncio.gather(*reads)
        assert await execute(client, "PING")

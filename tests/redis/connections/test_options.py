"""A URL may be shared with clients that know other options than ours does."""

from __future__ import annotations

import pytest

from streamqueue import Queue as Producer
from streamqueue.streams import ProblemKind, RedisProblem, Snapshot, connect
from streamqueue.streams.wait import wait_for_entries
from tests.redis.connections import steps
from tests.redis.queue import Queue
from tests.redis.servers.process import RunningServer
from tests.redis.worker.stores import store

# What is asked of the server is one look.
pytestmark = pytest.mark.on("redis-7.0", "valkey-9.1")


@pytest.mark.parametrize(
    "options",
    ["family=6", "protocol=3", "decode_responses=true", "retry=5", "ssl_ca_certs=x", "socket_timeout=3", "a=b"],
)
async def test_an_option_of_another_client_is_no_obstacle(shared_server: RunningServer, options: str) -> None:
    async with connect(f"{shared_server.url}?{options}") as client:
        assert isinstance(await steps.look(client), Snapshot)


async def test_who_waits_waits_no_longer_than_an_answer_may_take(shared_server: RunningServer) -> None:
    """Or each wait would end as a server that does not answer."""
    url = f"{shared_server.url}?socket_timeout=0.6"
    async with connect(url) as client, Producer(url, Queue.stream) as producer:
        await client.flushall()
        await Queue(client).create()
        assert not await store(client).wait(1, 1.0)
        assert await wait_for_entries(client, {Queue.stream: "0"}, 1.0) == set()
        assert (await producer.send({"n": 1}, replicated=True)).replicated is False


async def test_a_host_that_can_have_no_address_is_not_reached() -> None:
    async with connect("redis://redis..shop:6379/0") as client:
        answer = await steps.look(client)
    assert isinstance(answer, RedisProblem)
    assert answer.kind is ProblemKind.UNREACHABLE
    assert "no address" in answer.message

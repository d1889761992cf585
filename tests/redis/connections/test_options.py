"""A URL may be shared with clients that know other options than ours does."""

from __future__ import annotations

import pytest

from streamqueue.streams import ProblemKind, RedisProblem, Snapshot, connect
from tests.redis.connections import steps
from tests.redis.servers.process import RunningServer

# What is asked of the server is one look.
pytestmark = pytest.mark.on("redis-7.0", "valkey-9.1")


@pytest.mark.parametrize(
    "options",
    ["family=6", "protocol=3", "decode_responses=true", "retry=5", "ssl_ca_certs=x", "socket_timeout=3", "a=b"],
)
async def test_an_option_of_another_client_is_no_obstacle(shared_server: RunningServer, options: str) -> None:
    async with connect(f"{shared_server.url}?{options}") as client:
        assert isinstance(await steps.look(client), Snapshot)


async def test_a_host_that_can_have_no_address_is_not_reached() -> None:
    async with connect("redis://redis..shop:6379/0") as client:
        answer = await steps.look(client)
    assert isinstance(answer, RedisProblem)
    assert answer.kind is ProblemKind.UNREACHABLE
    assert "no address" in answer.message

"""What a server says of how it keeps things; what it hides is unknown."""

from __future__ import annotations

import pytest

from streamqueue.controller.status.risks import risks
from streamqueue.streams import connect
from streamqueue.streams.durability import Durability, read_durability
from tests.redis.servers.process import RunningServer


async def test_each_danger_is_read_from_the_server(own_server: RunningServer) -> None:
    async with connect(own_server.url) as client:
        await client.config_set("appendonly", "no")
        assert await read_durability(client) == Durability("noeviction", False, None)
        for setting, value in (("appendonly", "yes"), ("save", "3600 1")):
            await client.config_set(setting, value)
            assert await read_durability(client) == Durability("noeviction", True, None)
            await client.config_set("appendonly", "no")
        assert not list(risks(await read_durability(client)))
        used = (await client.info("memory"))["used_memory"]
        await client.config_set("maxmemory", int(used * 1.1))
        (condition,) = risks(await read_durability(client))
        assert condition.reason == "MemoryNearlyFull"
        await client.config_set("maxmemory", used * 100)
        await client.config_set("maxmemory-policy", "allkeys-lru")
        (condition,) = risks(await read_durability(client))
        assert condition.reason == "EvictsKeys"


@pytest.mark.parametrize("hidden", ["-info", "-config"])
async def test_what_is_hidden_is_no_danger_and_no_safety(own_server: RunningServer, hidden: str) -> None:
    async with connect(own_server.url) as admin:
        await admin.execute_command("ACL", "SETUSER", "app", "on", ">pw", "~*", "+@all", hidden)
    async with connect(own_server.url.replace("://", "://app:pw@")) as client:
        durability = await read_durability(client)
    assert durability.persistent is None and not durability.is_known
    assert not list(risks(durability))

"""A primary with a replica, watched by three sentinels, on free ports of 127.0.0.1."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from redis.asyncio import Redis

from tests.redis.servers.install import Server
from tests.redis.servers.process import RunningServer

SERVICE = "mymaster"
DOWN_AFTER = 500  # ms without an answer until a sentinel takes a server for gone
PATIENCE = 30.0  # seconds until something that must happen is given up


class RunningSentinels:
    def __init__(self, server: Server) -> None:
        self.primary = RunningServer(server)
        replica = {"replicaof": f"127.0.0.1 {self.primary.port}", "repl-ping-replica-period": "1"}
        self.replica = RunningServer(server, replica)
        watch = {
            "sentinel monitor": f"{SERVICE} 127.0.0.1 {self.primary.port} 2",
            "sentinel down-after-milliseconds": f"{SERVICE} {DOWN_AFTER}",
            "sentinel failover-timeout": f"{SERVICE} 3000",
        }
        with ThreadPoolExecutor(3) as threads:
            self.sentinels = list(threads.map(lambda _: _sentinel(server, watch), range(3)))

    @property
    def url(self) -> str:
        hosts = ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in self.sentinels)
        return f"redis+sentinel://{hosts}/{SERVICE}/0"

    async def settle(self) -> None:
        """Until each sentinel knows the others and the replica: before that there is no failover."""
        for sentinel in self.sentinels:
            await self.until(lambda sentinel=sentinel: self._knows_all(sentinel))

    async def until(self, condition: Callable[[], Any]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not await condition():
            assert time.monotonic() < deadline, "the sentinels did not get there"
            await asyncio.sleep(0.02)

    def close(self) -> None:
        for running in (*self.sentinels, self.replica, self.primary):
            running.close()

    async def _knows_all(self, sentinel: RunningServer) -> bool:
        async with Redis(port=sentinel.port, protocol=2) as client:
            state = (await client.sentinel_masters())[SERVICE]
        return state["num-other-sentinels"] == 2 and state["num-slaves"] == 1


def _sentinel(server: Server, watch: dict[str, str]) -> RunningServer:
    return RunningServer(server, watch, "--sentinel")

"""A primary with a replica, watched by three sentinels, on free ports of 127.0.0.1."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from redis.asyncio import Redis

from tests.redis.servers.install import Server
from tests.redis.servers.process import RunningServer, free_port

SERVICE = "mymaster"
DOWN_AFTER = 500  # ms without an answer until a sentinel takes a server for gone
PATIENCE = 30.0  # seconds until something that must happen is given up


class RunningSentinels:
    """`secure`: the settings of a process that speaks TLS on a port; `ca` is whom it trusts, then."""

    def __init__(
        self, server: Server, secure: Callable[[int], dict[str, str]] | None = None, ca: Path | None = None
    ) -> None:
        self._secure, self._ca = secure or (lambda _: {}), ca
        self.primary = self._start(server, {})
        primary = f"127.0.0.1 {port_of(self.primary)}"
        self.replica = self._start(server, {"replicaof": primary, "repl-ping-replica-period": "1"})
        watch = {
            "sentinel monitor": f"{SERVICE} {primary} 2",
            "sentinel down-after-milliseconds": f"{SERVICE} {DOWN_AFTER}",
            "sentinel failover-timeout": f"{SERVICE} 3000",
        }
        with ThreadPoolExecutor(3) as threads:
            self.sentinels = list(threads.map(lambda _: self._start(server, watch, "--sentinel"), range(3)))

    def _start(self, server: Server, settings: dict[str, str], mode: str = "") -> RunningServer:
        return RunningServer(server, self._secure(free_port()) | settings, mode)

    @property
    def url(self) -> str:
        hosts = ",".join(f"127.0.0.1:{port_of(sentinel)}" for sentinel in self.sentinels)
        return f"{'rediss' if self._ca else 'redis'}+sentinel://{hosts}/{SERVICE}/0"

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
        secure = {"ssl": True, "ssl_ca_certs": str(self._ca)} if self._ca else {}
        async with Redis(host="127.0.0.1", port=port_of(sentinel), protocol=2, **secure) as client:
            state = (await client.sentinel_masters())[SERVICE]
        return state["num-other-sentinels"] == 2 and state["num-slaves"] == 1


def port_of(running: RunningServer) -> int:
    return int(running.settings.get("tls-port", running.port))

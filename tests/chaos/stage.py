"""The Redis of a storm: one server behind a proxy, and with failovers a replica that takes over."""

from __future__ import annotations

import asyncio
import signal
from contextlib import suppress
from random import Random

from redis.asyncio import Redis
from redis.exceptions import RedisError

from tests.redis.proxy import Proxy
from tests.redis.servers.process import RunningServer

PATIENCE = 30.0  # seconds for a replica to follow


class Stage:
    """`primary` is who is led to. Methods take as long as the servers do."""

    def __init__(self, primary: RunningServer, replica: RunningServer | None, proxy: Proxy, chance: Random) -> None:
        self.primary = primary
        self._replica = replica
        self._proxy = proxy
        self._chance = chance

    async def begin(self) -> None:
        if self._replica:
            await self._follow()

    async def restart(self) -> None:
        await asyncio.to_thread(self.primary.kill, self._chance.choice((signal.SIGKILL, signal.SIGTERM)))
        await asyncio.to_thread(self.primary.start)

    async def fail_over(self) -> bool:
        """The primary dies, and its replica takes over, unless it is not in step: nobody would promote it then."""
        assert self._replica
        if not await self._is_in_step():
            return False
        await asyncio.to_thread(self.primary.kill)
        self.primary, self._replica = self._replica, self.primary
        await self._command(self.primary, "REPLICAOF", "NO", "ONE")
        self._proxy.lead_to(self.primary.port)
        await asyncio.to_thread(self._replica.start)
        await self._follow()
        return True

    async def _follow(self) -> None:
        assert self._replica
        await self._command(self._replica, "REPLICAOF", "127.0.0.1", self.primary.port)
        async with asyncio.timeout(PATIENCE):
            while not await self._is_in_step():  # noqa: ASYNC110 - another process follows
                await asyncio.sleep(0.05)

    async def _is_in_step(self) -> bool:
        assert self._replica
        with suppress(RedisError, OSError):
            async with Redis.from_url(self._replica.url, protocol=2) as client:
                state = await client.info("replication")
                return state.get("master_link_status") == "up" and state.get("master_port") == self.primary.port
        return False

    async def _command(self, server: RunningServer, *words: str | int) -> None:
        async with Redis.from_url(server.url, protocol=2) as client:
            await client.execute_command(*words)

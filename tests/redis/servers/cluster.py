"""A Redis Cluster: three primaries and a replica of each, on free ports of 127.0.0.1."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from redis.asyncio import Redis
from redis.crc import key_slot
from redis.exceptions import RedisError

from tests.redis.servers.install import Server
from tests.redis.servers.process import RunningServer

SLOTS = 16_384
PRIMARIES = 3
NODE_TIMEOUT = 1000  # ms until a node counts as gone
PATIENCE = 20.0  # seconds until something that must happen is given up

Talk = Callable[[RunningServer], Redis]


class RunningCluster:
    """`nodes`: the primaries first, then their replicas in the same order. `talk` makes a client of one node."""

    def __init__(
        self,
        server: Server,
        *,
        replicas: bool = True,
        settings: Callable[[int], dict[str, str]] = lambda _: {},
        talk: Talk | None = None,
    ) -> None:
        self.talk = talk or (lambda node: Redis(port=node.port, protocol=2))
        base = {
            "cluster-enabled": "yes",
            "cluster-node-timeout": str(NODE_TIMEOUT),
            "cluster-replica-validity-factor": "0",
            "repl-ping-replica-period": "1",
        }
        count = PRIMARIES * (2 if replicas else 1)
        with ThreadPoolExecutor(count) as threads:
            self.nodes = list(threads.map(lambda i: RunningServer(server, base | settings(i)), range(count)))

    @property
    def url(self) -> str:
        return self.nodes[0].url

    async def form(self) -> None:
        """Give the primaries their slots, introduce the nodes, and wait until all agree."""
        first, *others = self.nodes
        for node in others:
            await self.ask(node, "CLUSTER", "MEET", "127.0.0.1", int(first.settings.get("tls-port", first.port)))
        for i, node in enumerate(self.nodes[:PRIMARIES]):
            mine = range(SLOTS * i // PRIMARIES, SLOTS * (i + 1) // PRIMARIES)
            await self.ask(node, "CLUSTER", "SET-CONFIG-EPOCH", i + 1, ignore=True)
            await self.ask(node, "CLUSTER", "ADDSLOTS", *mine)
        for primary, replica in zip(self.nodes, self.nodes[PRIMARIES:], strict=False):
            own = await self.id_of(primary)
            await self.until(lambda replica=replica, own=own: self._knows(replica, own))
            await self.ask(replica, "CLUSTER", "REPLICATE", own)
        await self.until(self.is_whole)

    async def is_whole(self) -> bool:
        """Every node sees every slot served, and every node."""
        return all([await self._sees_all(node) for node in self.nodes])

    async def ask(self, node: RunningServer, *command: Any, ignore: bool = False) -> Any:
        async with self.talk(node) as client:
            try:
                return await client.execute_command(*command)
            except RedisError:
                if not ignore:
                    raise

    async def id_of(self, node: RunningServer) -> str:
        return str((await self.ask(node, "CLUSTER", "MYID")).decode())

    async def owner(self, key: str) -> RunningServer:
        """The primary that has the key's slot now, as a living node sees it."""
        slot = key_slot(key.encode())
        for node in self.nodes:
            if not node.runs:
                continue
            for first, last, primary, *_ in await self.ask(node, "CLUSTER", "SLOTS"):
                if first <= slot <= last:
                    return next(each for each in self.nodes if each.port == primary[1])
        raise AssertionError(f"nobody has slot {slot}")

    async def until(self, condition: Callable[[], Any], what: str = "") -> None:
        deadline = time.monotonic() + PATIENCE
        while not await condition():
            assert time.monotonic() < deadline, what or "the cluster did not form"
            await asyncio.sleep(0.02)

    def close(self) -> None:
        for node in self.nodes:
            node.close()

    async def _knows(self, node: RunningServer, other: str) -> bool:
        return other in await self._text(node, "NODES")

    async def _sees_all(self, node: RunningServer) -> bool:
        slots = await self.ask(node, "CLUSTER", "SLOTS")
        everyone = sum(len(each) - 2 for each in slots) == len(self.nodes)
        return "cluster_state:ok" in await self._text(node, "INFO") and everyone

    async def _text(self, node: RunningServer, what: str) -> str:
        return str((await self.ask(node, "CLUSTER", what)).decode())

"""What is known of a cluster: its nodes, and who of them has which slot."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from typing import Any

from redis.asyncio import ConnectionPool, Redis
from redis.exceptions import RedisError

from streamqueue.streams.connection.pool import pool_of
from streamqueue.streams.connection.slots import Place, Redirection, place_of, read_slots, slot_of
from streamqueue.streams.errors import ProblemKind, RedisProblem, classify

PAUSE = 0.2  # seconds between two looks at the slots
ASKED = 4  # nodes asked for the slots at once, beside the first

_NO_CLUSTER = (ProblemKind.OTHER, ProblemKind.UNSUPPORTED, ProblemKind.NO_PERMISSION)


class Topology:
    """One client per node. Not `certain`: it may be a single server, and counts as one until it redirects."""

    def __init__(self, settings: dict[str, Any], *, secure: bool, certain: bool) -> None:
        self._settings = settings
        self._secure = secure
        self._front = settings.get("host", "localhost")
        self.pool = self._pool(Place(self._front, settings.get("port", 6379), ""))
        self._seed: Redis = Redis(connection_pool=self.pool)
        self._clients: dict[Place, Redis] = {}
        self._slots: dict[int, Redis] = {}  # empty: not known, or no cluster
        self._own_ports = False
        self._certain = self._stale = certain
        self._looked = float("-inf")  # loop time
        self._looking = asyncio.Lock()

    @property
    def primaries(self) -> list[Redis]:
        """The clients of all nodes that have slots, as far as known."""
        return list(dict.fromkeys(self._slots.values())) or [self._seed]

    def node(self, command: Sequence[Any]) -> Redis:
        """Who has the command's keys; any node for a command without. Raises RedisProblem for keys of several slots."""
        return self._slots.get(slot_of(command) or 0, self._seed) if self._slots else self._seed

    def doubt(self) -> None:
        """A node is away, or says that the cluster is down: another may have its slots now."""
        self._stale = bool(self._slots)

    async def moved(self, there: Redirection, asked: Redis) -> Redis:
        """Who has the slot since it moved away from `asked`; the others are learnt anew with it."""
        self._stale = True
        await self.refresh()
        node = self._slots[there.slot] = self.at(there, asked)
        return node

    def at(self, there: Redirection, asked: Redis) -> Redis:
        """The client of the node that `asked` redirects to."""
        host = there.host or asked.connection_pool.connection_kwargs["host"]
        return self._client(self._place(host, there.port))

    async def refresh(self) -> None:
        """Learn the slots where they are in doubt; what nobody can tell now stays as it was.

        Raises errors of redis-py and RedisProblem where nothing is known of what must be a cluster.
        """
        if not self._stale:
            return
        async with self._looking:
            now = asyncio.get_running_loop().time()
            must = self._certain and not self._slots
            if not self._stale or (now - self._looked < PAUSE and not must):
                return
            self._looked = now
            known = list(self._clients.values())
            looks = [_look(node) for node in (self._seed, *random.sample(known, min(ASKED, len(known))))]
            answer: Any = None
            for look in asyncio.as_completed(looks):
                answer = await look
                if not isinstance(answer, BaseException):
                    self._learn(*answer)
                    return
            if must:
                raise answer

    async def close(self) -> None:
        for client in self._clients.values():
            await client.aclose()

    def _learn(self, asked: str, reply: Sequence[Any]) -> None:
        ranges = read_slots(reply, asked)
        announced = {node for each in ranges for node in each.nodes}
        self._own_ports = len({port for _, port in announced}) == len(announced)
        slots: dict[int, Redis] = {}
        for each in ranges:
            primary = self._client(self._place(*each.nodes[0]))
            slots |= dict.fromkeys(range(each.first, each.last + 1), primary)
        for host, port in announced:
            self._client(self._place(host, port))  # replicas can be asked when their primary is gone
        self._slots, self._stale = slots, False

    def _place(self, host: str, port: int) -> Place:
        return place_of(host, port, self._front, secure=self._secure, own_ports=self._own_ports)

    def _client(self, place: Place) -> Redis:
        if place not in self._clients:
            self._clients[place] = Redis.from_pool(self._pool(place))
        return self._clients[place]

    def _pool(self, place: Place) -> ConnectionPool:
        settings = self._settings | {"host": place.host, "port": place.port}
        if self._secure:
            settings["server_name"] = place.name or None
        return pool_of(self._secure, settings)


async def _look(node: Redis) -> tuple[str, Sequence[Any]] | Exception:
    """The node's host and its view of the slots, or why there is none."""
    try:
        # As two words: redis-py would make a map of it, without the hosts that are missing.
        reply = await node.execute_command("CLUSTER", "SLOTS")  # type: ignore[no-untyped-call]
    except (RedisError, OSError) as error:
        if classify(error).kind not in _NO_CLUSTER:
            return error
        reply = None
    if reply:
        return node.connection_pool.connection_kwargs["host"], reply
    message = "no Redis Cluster, or it hides its nodes: give the user +cluster|slots, or set redis.mode to standalone"
    return RedisProblem(ProblemKind.UNSUPPORTED, message)

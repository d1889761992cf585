"""A client whose commands find the node of their key.

redis-py's own cluster client can't be used: it repeats commands whose reply was lost, needs COMMAND (blocked by some
services), sends ASKING and what follows it on different connections, and knows one host name for all certificates.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import ConnectionError, RedisError, ResponseError, TimeoutError

from streamqueue.streams.connection.command import called
from streamqueue.streams.connection.pipeline import Convert, piped, unchanged
from streamqueue.streams.connection.slots import redirection
from streamqueue.streams.connection.topology import Topology
from streamqueue.streams.errors import ProblemKind, RedisProblem, classify, typed

REDIRECTIONS = 5  # of one command

_ON_ALL = ("SCRIPT LOAD", "SCRIPT FLUSH")
_AWAY = (ConnectionError, TimeoutError, OSError, asyncio.IncompleteReadError)
_FAILURES = (RedisError, RedisProblem, OSError, asyncio.IncompleteReadError)


class ClusterClient(Redis):
    """All nodes of a cluster as one client, see `Topology`; or a single server.

    Commands are repeated after a redirection alone: then they didn't run. Pipelines go through `send_many`.
    """

    def __init__(self, settings: dict[str, Any], *, secure: bool, certain: bool) -> None:
        self._topology = Topology(settings, secure=secure, certain=certain)
        super().__init__(connection_pool=self._topology.pool)
        self.auto_close_connection_pool = True

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        if args[0] in _ON_ALL:
            return await self._on_all(args, options)
        _, reply = await self._routed(args, lambda node: node.execute_command(*args, **options))  # type: ignore[no-untyped-call]
        return reply

    async def call(self, command: Sequence[Any]) -> Any:
        """As `execute_command`, see `called`."""
        _, reply = await self._routed(command, lambda node: called(node, command))
        return reply

    async def send_many(self, commands: Sequence[Sequence[Any]], convert: Convert) -> list[Any]:
        """The replies or errors, in order: one pipeline per node, so that a dead node costs its own keys only."""
        replies: list[Any] = [None] * len(commands)
        left = list(range(len(commands)))
        for _ in range(2):  # a redirection may be the first sign of a cluster, or of one that changed
            try:
                await self._topology.refresh()
                await self._send(commands, left, replies, convert)
            except _FAILURES as error:
                return [error] * len(commands)
            left = await self._redirected(left, replies)
            if not left:
                return replies
        for i in left:
            try:
                replies[i] = convert(await self.execute_command(*commands[i]))
            except _FAILURES as error:
                replies[i] = error
        return replies

    async def node_of(self, key: str) -> Redis:
        """The client of the node that has this key now."""
        command = ("EXISTS", key)
        node, _ = await self._routed(command, lambda node: called(node, command))
        return node

    def primaries(self) -> list[Redis]:
        return self._topology.primaries

    def client(self) -> Redis:
        return self.primaries()[0].client()

    async def aclose(self, close_connection_pool: bool | None = None) -> None:
        await self._topology.close()
        await super().aclose(close_connection_pool)

    async def _routed(self, command: Sequence[Any], send: Callable[[Redis], Awaitable[Any]]) -> tuple[Redis, Any]:
        """Who has the command's keys, and its reply to `send(node)`."""
        await self._topology.refresh()
        node = self._topology.node(command)
        for _ in range(REDIRECTIONS):
            try:
                return node, await send(node)
            except _AWAY:
                self._topology.doubt()
                raise
            except ResponseError as error:
                there = redirection(error)
                if there is None:
                    if classify(error).kind is ProblemKind.CLUSTER:
                        self._topology.doubt()
                    raise
            if there.ask:
                async with self._topology.at(there, node).client() as connection:
                    await called(connection, ["ASKING"])  # holds for the next command of its connection
                    return node, await send(connection)
            node = await self._topology.moved(there, node)
        raise RedisProblem(ProblemKind.CLUSTER, "the nodes of the Redis Cluster send a command from one to the other")

    async def _on_all(self, args: Sequence[Any], options: dict[str, Any]) -> Any:
        """The first success: who is away now gets the script when it is missed."""
        calls = [node.execute_command(*args, **options) for node in self.primaries()]  # type: ignore[no-untyped-call]
        replies = await asyncio.gather(*calls, return_exceptions=True)
        for reply in replies:
            if not isinstance(reply, BaseException):
                return reply
        raise replies[0]

    async def _send(
        self, commands: Sequence[Sequence[Any]], which: Sequence[int], replies: list[Any], convert: Convert
    ) -> None:
        shares: dict[Redis, list[int]] = defaultdict(list)
        for i in which:
            shares[self._topology.node(commands[i])].append(i)
        answers = await asyncio.gather(
            *(piped(node, [commands[i] for i in share], convert) for node, share in shares.items())
        )
        for share, answer in zip(shares.values(), answers, strict=True):
            for i, reply in zip(share, answer, strict=True):
                replies[i] = reply
                if isinstance(reply, _AWAY):
                    self._topology.doubt()

    async def _redirected(self, sent: Sequence[int], replies: Sequence[Any]) -> list[int]:
        """Which of those that were sent must be sent elsewhere; where is learnt by the first of them."""
        found = [i for i in sent if isinstance(replies[i], ResponseError) and redirection(replies[i])]
        there = redirection(replies[found[0]]) if found else None
        if there and not there.ask:
            await self._topology.moved(there, self.primaries()[0])
        return found


async def send_many(client: Redis, commands: Sequence[Sequence[Any]], convert: Convert = unchanged) -> list[Any]:
    """Many commands in few round trips: their replies, or the errors in their place. Raises nothing of Redis."""
    if not commands:
        return []
    return await (
        client.send_many(commands, convert) if isinstance(client, ClusterClient) else piped(client, commands, convert)
    )


async def call(client: Redis, command: Sequence[Any]) -> Any:
    """The reply to one command as it came. Raises what redis-py's clients raise, and RedisProblem."""
    return await (client.call(command) if isinstance(client, ClusterClient) else called(client, command))


async def node_of(client: Redis, key: str) -> Redis:
    """The client of the one server that has `key`, for what is asked of a server and not of a key.

    Raises RedisProblem.
    """
    return await typed(client.node_of(key)) if isinstance(client, ClusterClient) else client


def primaries(client: Redis) -> list[Redis]:
    """A client for each server that has keys, as far as known."""
    return client.primaries() if isinstance(client, ClusterClient) else [client]

"""Which streams one script can write together with a queue's own keys."""

from __future__ import annotations

from redis.asyncio import Redis
from redis.crc import key_slot

from streamqueue.streams.errors import ProblemKind, RedisProblem
from streamqueue.streams.script import Script

# Proxies spread simple commands over the nodes, EXISTS among them, and so say nothing of scripts.
_ASK = Script("return 0")


class Reach:
    """Found out by asking, once per slot: proxies in front of a cluster do not say what they are."""

    def __init__(self, client: Redis, stream: str) -> None:
        self._client = client
        self._stream = stream
        self._known: dict[int, bool] = {}

    async def covers(self, stream: str) -> bool:
        """Whether a script may name `stream` beside the queue's own keys. Raises RedisProblem."""
        if tag_of(stream) == tag_of(self._stream):
            return True
        slot = key_slot(stream.encode())
        if slot not in self._known:
            self._known[slot] = await self._ask(stream)
        return self._known[slot]

    def forget(self) -> None:
        """Ask again: the server may be another one."""
        self._known.clear()

    async def _ask(self, stream: str) -> bool:
        try:
            await _ASK(self._client, [self._stream, stream], [])
        except RedisProblem as problem:
            if problem.kind is not ProblemKind.CLUSTER:
                raise
            return False
        return True


def tag_of(stream: str) -> str:
    """What decides a key's slot: the text in its first braces, else all of it."""
    _, opened, rest = stream.partition("{")
    tag, closed, _ = rest.partition("}")
    return tag if opened and closed and tag else stream

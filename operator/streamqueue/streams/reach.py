"""Which streams one script can write together with a queue's own keys."""

from __future__ import annotations

from redis.asyncio import Redis
from redis.crc import key_slot

from streamqueue.streams.errors import ProblemKind, or_none
from streamqueue.streams.script import Script

# Proxies spread simple commands over the nodes, EXISTS among them, and so say nothing of scripts.
_ASK = Script("return 0")


class Reach:
    """Found out by calling a script, once per slot: proxies in front of a cluster do not say what they are."""

    def __init__(self, client: Redis, stream: str) -> None:
        self._client = client
        self._stream = stream
        self._slot = key_slot(stream.encode())
        self._known: dict[int, bool] = {}

    async def covers(self, stream: str) -> bool:
        """Whether a script may name `stream` beside the queue's own keys. Raises RedisProblem."""
        slot = key_slot(stream.encode())
        if slot != self._slot and slot not in self._known:
            answer = await or_none(_ASK(self._client, [self._stream, stream], []), (ProblemKind.CLUSTER,))
            self._known[slot] = answer is not None
        return slot == self._slot or self._known[slot]

    def forget(self) -> None:
        """Ask again: the server may be another one."""
        self._known.clear()

"""Whether a server keeps what it is given: its eviction policy, and what survives a restart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis

from streamqueue.streams.errors import ProblemKind, RedisProblem, execute

KEEPS_ALL = "noeviction"

_HIDDEN = (ProblemKind.NO_PERMISSION, ProblemKind.UNSUPPORTED, ProblemKind.OTHER)


@dataclass(frozen=True, slots=True)
class Durability:
    """What the server says of itself; None where it doesn't say."""

    eviction_policy: str | None = None
    persistent: bool | None = None  # appends to a log, takes snapshots, or has a replica

    @property
    def may_lose_work(self) -> bool | None:
        """Whether tasks can vanish without an acknowledgement; None where nothing says so, and not all is known."""
        evicts = None if self.eviction_policy is None else self.eviction_policy != KEEPS_ALL
        if evicts or self.persistent is False:
            return True
        return None if evicts is None or self.persistent is None else False


async def read_durability(client: Redis) -> Durability:
    """What INFO and CONFIG tell, where a managed service doesn't block them. Raises RedisProblem."""
    memory = await _info(client, "memory")
    return Durability(memory.get("maxmemory_policy"), await _persistent(client))


async def _persistent(client: Redis) -> bool | None:
    if (await _info(client, "persistence")).get("aof_enabled"):
        return True
    if (await _info(client, "replication")).get("connected_slaves"):
        return True
    try:
        settings = await execute(client, "CONFIG GET", "save")
    except RedisProblem as problem:
        if problem.kind not in _HIDDEN:
            raise
        return None
    return bool(settings.get("save", settings.get(b"save")))


async def _info(client: Redis, section: str) -> dict[str, Any]:
    try:
        found: dict[str, Any] = await execute(client, "INFO", section)
    except RedisProblem as problem:
        if problem.kind not in _HIDDEN:
            raise
        return {}
    return found

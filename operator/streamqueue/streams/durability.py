"""Whether a server keeps what it is given: its eviction policy, what survives a restart, and how full it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis

from streamqueue.streams.connection import primaries
from streamqueue.streams.errors import ProblemKind, execute, or_none

_KEEPS_ALL = "noeviction"

_HIDDEN = (ProblemKind.NO_PERMISSION, ProblemKind.UNSUPPORTED, ProblemKind.OTHER)


@dataclass(frozen=True, slots=True)
class Durability:
    """What the server says of itself; None where it doesn't say."""

    eviction_policy: str | None = None
    persistent: bool | None = None  # appends to a log, takes snapshots, or has a replica
    memory_used: float | None = None  # of maxmemory, 0 to 1

    @property
    def evicts(self) -> bool:
        """Whether keys vanish when the memory is full; not of a server that hides its policy."""
        return self.eviction_policy not in (None, _KEEPS_ALL)

    @property
    def is_known(self) -> bool:
        """Whether it says all that it takes to call it safe."""
        return self.eviction_policy is not None and self.persistent is not None


async def read_durability(client: Redis) -> Durability:
    """What INFO and CONFIG tell, where a managed service doesn't block them; of a cluster the worst of its primaries.

    Raises RedisProblem.
    """
    return worst([await _read(node) for node in primaries(client)])


def worst(each: Sequence[Durability]) -> Durability:
    """Of several servers that hold the streams of one cluster. Pure."""
    policies = [one.eviction_policy for one in each]
    persistent = [one.persistent for one in each]
    return Durability(
        next((one.eviction_policy for one in each if one.evicts), None if None in policies else _KEEPS_ALL),
        False if False in persistent else None if None in persistent else True,
        max((one.memory_used for one in each if one.memory_used is not None), default=None),
    )


async def _read(client: Redis) -> Durability:
    memory = await _info(client, "memory")
    limit = memory.get("maxmemory")
    used = memory["used_memory"] / limit if limit and "used_memory" in memory else None
    return Durability(memory.get("maxmemory_policy"), await _persistent(client), used)


async def _persistent(client: Redis) -> bool | None:
    persistence, replication = await _info(client, "persistence"), await _info(client, "replication")
    if persistence.get("aof_enabled") or replication.get("connected_slaves"):
        return True
    settings = await or_none(execute(client, "CONFIG GET", "save"), _HIDDEN)
    if settings is None:
        return None
    if settings.get("save", settings.get(b"save")):
        return True
    return False if persistence and replication else None


async def _info(client: Redis, section: str) -> dict[str, Any]:
    return await or_none(execute(client, "INFO", section), _HIDDEN) or {}

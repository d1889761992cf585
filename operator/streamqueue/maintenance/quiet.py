"""When idle time proves nothing: after a failover, a restart, a jump of Redis's clock, or a time without looks.

Every lease then looks expired while its owner lives. Reclaim by idle time rests for one visibility timeout.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from redis.asyncio import Redis

from streamqueue.api.keys import Keys
from streamqueue.api.spec import QueueSpec
from streamqueue.streams.connection import node_of
from streamqueue.streams.errors import ProblemKind, RedisProblem, execute
from streamqueue.streams.script import Arg, Script

_SCRIPT = Script.beside(__package__, "quiet.lua")


class QuietReason(StrEnum):
    """Why reclaim by idle time rests."""

    FIRST_LOOK = "first-look"  # nothing is known of the time before
    RESTART = "restart-or-failover"  # another run id or replication id
    CLOCK = "clock"  # Redis's clock moved against the client's by more than a quarter of the visibility timeout
    GAP = "gap"  # the last look is more than twice the usual interval ago


@dataclass(frozen=True, slots=True)
class Quiet:
    """`until` is unix seconds by Redis's clock; None: idle times can be trusted."""

    until: float | None
    reason: QuietReason | None
    restart_detection: bool


async def look(client: Redis, spec: QueueSpec) -> Quiet:
    """Compare the server with what the last look saw, and note it. Raises RedisProblem."""
    token = await _token(await node_of(client, spec.stream))
    timeout = int(spec.delivery.visibility_timeout * 1000)
    args: list[Arg] = [token or "", timeout, int(time.time() * 1000)]
    until, reason = await _SCRIPT(client, [Keys(spec.stream, spec.group).epoch], args)
    return Quiet(until / 1000 or None, QuietReason(reason.decode()) if reason else None, token is not None)


async def _token(client: Redis) -> str | None:
    """Changes with every restart and failover; None where the server hides INFO."""
    try:
        server: dict[str, Any] = await execute(client, "INFO", "server")
        replication: dict[str, Any] = await execute(client, "INFO", "replication")
    except RedisProblem as problem:
        if problem.kind not in (ProblemKind.NO_PERMISSION, ProblemKind.UNSUPPORTED):
            raise
        return None
    if "run_id" not in server:
        return None
    return f"{server['run_id']}:{replication.get('master_replid', '')}"

"""When idle time proves nothing: after a failover, a restart, a jump of Redis's clock, or a time without checks.

Every lease then looks expired while its owner lives. Reclaim by idle time rests for one visibility timeout.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from enum import StrEnum

from redis.asyncio import Redis

from streamqueue.api.keys import Keys
from streamqueue.api.spec import QueueSpec
from streamqueue.streams.connection import node_of
from streamqueue.streams.script import Arg, Script
from streamqueue.streams.server import life_of

_SCRIPT = Script.beside(__package__, "clock.lua", "quiet.lua")


class QuietReason(StrEnum):
    """Why reclaim by idle time rests."""

    FIRST_LOOK = "first-look"  # nothing is known of the time before
    RESTART = "restart-or-failover"  # another run id or replication id
    CLOCK = "clock"  # Redis's clock moved against the client's by more than a quarter of the visibility timeout
    GAP = "gap"  # the last check is more than twice the usual interval ago


@dataclass(frozen=True, slots=True)
class Quiet:
    """`until` is unix seconds by Redis's clock; None: idle times can be trusted."""

    until: float | None
    reason: QuietReason | None
    restart_detection: bool  # False: the server hides INFO, so that restarts are seen by clock and gaps alone


TRUSTED = Quiet(None, None, True)


async def check_server(client: Redis, spec: QueueSpec) -> Quiet:
    """Compare the server with what the last check noted, and note what it is now. Raises RedisProblem."""
    token, _ = await life_of(await node_of(client, spec.stream))
    timeout = int(spec.delivery.visibility_timeout * 1000)
    args: list[Arg] = [token or "", timeout, int(time.time() * 1000)]
    until, reason = await _SCRIPT(client, [Keys(spec.stream, spec.group).epoch], args)
    return Quiet(until / 1000 or None, QuietReason(reason.decode()) if reason else None, token is not None)

"""The consumer group of a queue."""

from __future__ import annotations

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from streamqueue.streams.errors import ABSENT, ProblemKind, RedisProblem, execute, or_none, typed


async def ensure_group(client: Redis, stream: str, group: str, start_from: str = "0") -> bool:
    """Create `group` (and the stream, empty) where missing; True if it was created.

    `start_from` is `0` (all that the stream holds), `$` (only what comes later) or an entry id.
    Raises RedisProblem for everything but "exists already".
    """
    try:
        return await typed(_create(client, stream, group, start_from))
    except RedisProblem as problem:
        # A server out of memory refuses before it has looked.
        is_full = problem.kind is ProblemKind.OUT_OF_MEMORY
        if not is_full or await or_none(execute(client, "XPENDING", stream, group), ABSENT) is None:
            raise
        return False


async def _create(client: Redis, stream: str, group: str, start_from: str) -> bool:
    try:
        await client.xgroup_create(stream, group, start_from, mkstream=True)
    except ResponseError as exc:
        if str(exc).startswith("BUSYGROUP"):
            return False
        raise
    return True

"""What one server says of itself: its clock, and which of its lives this is."""

from __future__ import annotations

from typing import NamedTuple

from redis.asyncio import Redis

from streamqueue.streams.errors import ProblemKind, RedisProblem, execute


class Life(NamedTuple):
    """`token` is another after every restart and failover; None where the server hides INFO."""

    token: str | None
    uptime: float  # seconds, at least


async def clock_of(server: Redis) -> float:
    """Unix seconds. Raises RedisProblem."""
    seconds, micros = await execute(server, "TIME")
    return float(seconds + micros / 1e6)


async def life_of(server: Redis) -> Life:
    """Raises RedisProblem."""
    try:
        info = await execute(server, "INFO", "server")
        replication = await execute(server, "INFO", "replication")
    except RedisProblem as problem:
        if problem.kind not in (ProblemKind.NO_PERMISSION, ProblemKind.UNSUPPORTED):
            raise
        return Life(None, 0.0)
    token = f"{info['run_id']}:{replication.get('master_replid', '')}" if "run_id" in info else None
    # It counts from the start of the second in which the server began.
    return Life(token, max(0.0, float(info.get("uptime_in_seconds", 0)) - 1))

"""Outboxes, emptied in bounded steps: by workers, by the controller's tick, by the CronJob."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from redis.asyncio import Redis

from streamqueue.api.keys import Keys, stream_on_next_redis
from streamqueue.streams.errors import ProblemKind, RedisProblem
from streamqueue.streams.outbox import relay_step, targets

# A client of the server that `next.redis` names, or why there is none.
NextRedis = Redis | RedisProblem

NO_NEXT_REDIS = RedisProblem(ProblemKind.NO_ENDPOINT)  # the spec names no such server


@dataclass(slots=True)
class RelayReport:
    """What a pass did."""

    delivered: int = 0  # entries
    is_cut: bool = False  # its time was over before the outboxes were known to be empty
    stuck: dict[str, RedisProblem] = field(default_factory=dict)  # targets that took nothing, and why


async def relay(client: Redis, keys: Keys, *, budget: float, next_redis: NextRedis = NO_NEXT_REDIS) -> RelayReport:
    """Deliver what lies in the outboxes of a queue, for about `budget` seconds.

    A stream that cannot be written holds up no other. Safe to repeat and to run many times at once. Raises RedisProblem
    if the outboxes cannot be read.
    """
    report = RelayReport()
    deadline = time.monotonic() + budget
    for target in await targets(client, keys):
        there = client if stream_on_next_redis(target) is None else next_redis
        if isinstance(there, RedisProblem):
            report.stuck[target] = there
            continue
        left = 1
        while left and time.monotonic() < deadline:
            try:
                delivered, left = await relay_step(client, keys, target, there)
            except RedisProblem as problem:
                report.stuck[target] = problem
                break
            report.delivered += delivered
        else:
            report.is_cut |= left > 0
    return report

"""Outboxes, emptied in bounded steps: by workers, by the controller's tick, by the CronJob."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from redis.asyncio import Redis

from streamqueue.api.keys import Keys
from streamqueue.streams.errors import RedisProblem
from streamqueue.streams.outbox import relay_step, targets


@dataclass(slots=True)
class RelayReport:
    """What a pass did. `stuck`: streams that took nothing, and why; what is for them stays in its outbox."""

    delivered: int = 0
    stuck: dict[str, RedisProblem] = field(default_factory=dict)


async def relay(client: Redis, keys: Keys, *, budget: float) -> RelayReport:
    """Deliver what lies in the outboxes of a queue, for about `budget` seconds.

    A stream that cannot be written holds up no other. Safe to repeat and to run many times at once. Raises
    RedisProblem if the outboxes cannot be read.
    """
    report = RelayReport()
    deadline = time.monotonic() + budget
    for target in await targets(client, keys):
        left = 1
        while left and time.monotonic() < deadline:
            try:
                delivered, left = await relay_step(client, keys, target)
            except RedisProblem as problem:
                report.stuck[target] = problem
                break
            report.delivered += delivered
    return report

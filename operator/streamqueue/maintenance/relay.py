"""Outboxes, emptied in bounded steps: by workers, by the controller's tick, by the CronJob."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from redis.asyncio import Redis

from streamqueue.api.keys import Keys, stream_beyond
from streamqueue.streams.errors import ProblemKind, RedisProblem
from streamqueue.streams.outbox import relay_step, targets

# In place of a client of the endpoint of `next.redis`, where the spec names none.
NOWHERE = RedisProblem(ProblemKind.NO_ENDPOINT)


@dataclass(slots=True)
class RelayReport:
    """What a pass did. `stuck`: targets that took nothing, and why; what is for them stays in its outbox. `is_cut`: its
    time was over before the outboxes were known to be empty.
    """

    delivered: int = 0
    is_cut: bool = False
    stuck: dict[str, RedisProblem] = field(default_factory=dict)


async def relay(client: Redis, keys: Keys, *, budget: float, beyond: Redis | RedisProblem = NOWHERE) -> RelayReport:
    """Deliver what lies in the outboxes of a queue, for about `budget` seconds.

    `beyond` is a client of the endpoint of `next.redis`, or why there is none. A stream that cannot be written holds up
    no other. Safe to repeat and to run many times at once. Raises RedisProblem if the outboxes cannot be read.
    """
    report = RelayReport()
    deadline = time.monotonic() + budget
    for target in await targets(client, keys):
        there = client if stream_beyond(target) is None else beyond
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

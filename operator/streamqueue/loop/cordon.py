"""Which workers are cordoned (take no more tasks): written to Redis when that changes, and before it expires."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from redis.asyncio import Redis

from streamqueue.api.keys import Keys
from streamqueue.streams.cordon import cordon

LEAST = 15.0  # seconds until a list that isn't written again expires
LOOKS = 3.0  # the same in looks, where these are far apart
RETRY = 5.0  # seconds


@dataclass(slots=True)
class Cordon:
    """Of one queue: which `workers` were last written, and when to write them `again`, on the caller's clock."""

    workers: frozenset[str] = frozenset()
    again: float = -math.inf  # at once: an earlier process may have written another list

    async def keep(self, client: Redis, keys: Keys, workers: Iterable[str], interval: float, now: float) -> None:
        """Have `workers` cordoned, and no others. To be called every `interval` seconds. Raises RedisProblem."""
        wanted = frozenset(workers)
        if wanted == self.workers and now < self.again:
            return
        lasts = max(LEAST, LOOKS * interval)
        self.workers, self.again = wanted, now + RETRY  # also where the call fails: it may have been executed
        await cordon(client, keys, sorted(wanted), lasts)
        self.again = now + lasts / 2 if wanted else math.inf

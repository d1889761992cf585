"""The word to workers that take no more tasks, written when it changes and before it expires."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from redis.asyncio import Redis

from streamqueue.api.keys import Keys
from streamqueue.streams.cordon import cordon

LEAST = 15.0  # seconds until a word that isn't repeated is forgotten
RETRY = 5.0  # seconds
LOOKS = 3.0  # the same in looks, where these are far apart


@dataclass(slots=True)
class Cordon:
    """Of one queue: the `workers` that were told last, and when they are told again, on the caller's clock."""

    workers: frozenset[str] = frozenset()
    again: float = -math.inf  # a process before may have told some

    async def keep(self, client: Redis, keys: Keys, workers: Iterable[str], interval: float, now: float) -> None:
        """`workers` take no more; a look comes every `interval` seconds. Raises RedisProblem."""
        wanted = frozenset(workers)
        if wanted == self.workers and now < self.again:
            return
        lasts = max(LEAST, LOOKS * interval)
        self.workers, self.again = wanted, now + RETRY  # a call that fails may have been heard, and is repeated
        await cordon(client, keys, sorted(wanted), lasts)
        self.again = now + lasts / 2 if wanted else math.inf

"""Wakes queues from zero: one blocked read per endpoint over the streams of its idle queues.

A task that comes to a sleeping queue is seen at once, and a thousand sleeping queues cost one command a second.
Where the server can't (streams in several slots, blocked commands), the polling goes on as before.
"""

from __future__ import annotations

import asyncio
import logging
import time
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from streamqueue.controller.cluster.store import Key
from streamqueue.controller.endpoints.endpoints import Endpoint
from streamqueue.streams.entry_ids import entry_order
from streamqueue.streams.errors import ProblemKind, RedisProblem
from streamqueue.streams.wait import wait_for_entries

log = logging.getLogger(__name__)

BLOCK = 1.0  # seconds: a queue that falls asleep is listened to after this time at the latest
ASLEEP_INTERVAL = 5.0  # seconds between looks at a queue that is listened to; more where many are
ASLEEP_LONGEST = 30.0
ASLEEP_RATE = 40.0  # looks per second at all of them together: more would hold up a wake
RETRY = 5.0  # seconds after an error that may pass
DEAF = 600.0  # seconds until a server that can't be listened to is tried again: rights and slots change

_CANT = frozenset({ProblemKind.CLUSTER, ProblemKind.UNSUPPORTED, ProblemKind.NO_PERMISSION})


@dataclass(frozen=True, slots=True)
class Sleeper:
    """An idle queue: an entry after `last_id` wakes it."""

    stream: str
    last_id: str
    soundly: bool  # its last pods are gone too: nothing to look after until it wakes
    alarm: float | None = None  # seconds until a delayed task or a retry wants a look


class Waker:
    def __init__(self, wake: Callable[[Sequence[Key]], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._wake = wake
        self._clock = clock
        self._sleepers: dict[str, dict[Key, Sleeper]] = {}
        self._homes: dict[Key, str] = {}  # where each of them sleeps
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._deaf_until: dict[str, float] = {}  # by the endpoint's id

    def listen_for(self, key: Key, endpoint: Endpoint, sleeper: Sleeper) -> bool:
        """Listen for this queue; False where that can't be done, so that it must be polled."""
        if self._homes.get(key) != endpoint.id:
            self.stop_listening(key)
        if self._deaf_until.get(endpoint.id, 0.0) > self._clock():
            return False
        self._homes[key] = endpoint.id
        self._sleepers.setdefault(endpoint.id, {})[key] = sleeper
        task = self._tasks.get(endpoint.id)
        if task is None or task.done():
            self._tasks[endpoint.id] = asyncio.create_task(self._listen(endpoint))
        return True

    def stop_listening(self, key: Key) -> None:
        """Stop listening for this queue: it is awake, or gone."""
        home = self._homes.pop(key, None)
        if home:
            self._sleepers[home].pop(key, None)

    @property
    def listened_to(self) -> int:
        """Queues."""
        return len(self._homes)

    async def close(self) -> None:
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _listen(self, endpoint: Endpoint) -> None:
        sleepers = self._sleepers[endpoint.id]
        while sleepers:
            try:
                streams = await wait_for_entries(endpoint.client, _positions(sleepers.values()), BLOCK)
            except RedisProblem as problem:
                if problem.kind in _CANT:
                    namespace, name = next(iter(sleepers))
                    log.warning(
                        "%s/%s and what else sleeps on its Redis (%d) is polled, not listened to: %s",
                        *(namespace, name, len(sleepers), problem),
                    )
                    self._deaf_until[endpoint.id] = self._clock() + DEAF
                    self._wake_up(list(sleepers))
                    return
                await asyncio.sleep(RETRY)
                continue
            if streams:
                self._wake_up([key for key, sleeper in sleepers.items() if sleeper.stream in streams])

    def _wake_up(self, keys: Sequence[Key]) -> None:
        for key in keys:
            self.stop_listening(key)
        self._wake(keys)


def nap(sleeper: Sleeper, interval: float, uid: str, now: float, among: int = 1) -> float:
    """Seconds until the next look at a queue that is listened to, one of `among`.

    Each queue has a time of its own within the interval: a thousand looks at once would hold up a wake.
    """
    if not sleeper.soundly:
        return interval
    longest = max(interval, min(max(ASLEEP_INTERVAL, among / ASLEEP_RATE), ASLEEP_LONGEST))
    seconds = longest - (now - zlib.crc32(uid.encode()) / 2**32 * longest) % longest
    if sleeper.alarm is None:
        return seconds
    # It rings, and no pod was wanted: the queue is paused, or pinned at zero.
    return min(seconds, sleeper.alarm) if sleeper.alarm else interval


def _positions(sleepers: Iterable[Sleeper]) -> dict[str, str]:
    """From where to read each stream: with several groups on one, from the earliest."""
    positions: dict[str, str] = {}
    for sleeper in sleepers:
        known = positions.get(sleeper.stream)
        if known is None or entry_order(sleeper.last_id) < entry_order(known):
            positions[sleeper.stream] = sleeper.last_id
    return positions

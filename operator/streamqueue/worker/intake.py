"""Where entries come from: retries that are due, new ones, this consumer's own leftovers, stuck work of others."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Iterable, Sequence

from redis.asyncio import Redis

from streamqueue.streams.connection import node_of
from streamqueue.streams.enqueue import promote
from streamqueue.streams.errors import ProblemKind, RedisProblem
from streamqueue.streams.settlement import Settlement
from streamqueue.streams.taken import NewEntries, Taken
from streamqueue.streams.tasks import Exchange, TaskStore
from streamqueue.worker import guard
from streamqueue.worker.reconnecting import LONGEST_PAUSE
from streamqueue.worker.settings import Settings

log = logging.getLogger(__name__)

STEP = 256  # settlements per script call: a script blocks the server
BLOCK = 1.0  # seconds of one blocked read: what falls due waits no longer
LONGEST_CLAIM_INTERVAL = 30.0  # seconds


class Intake:
    """Takes entries for one consumer. `wake` is set when a blocked read has ended. Methods raise RedisProblem."""

    def __init__(self, client: Redis, settings: Settings, store: TaskStore, wake: asyncio.Event) -> None:
        self._client = client
        self._stream = settings.stream
        self._store = store
        self._wake = wake
        self._now = asyncio.get_running_loop().time
        self._read: asyncio.Task[bool] | None = None
        self._must_adopt = False
        self._concurrency = settings.concurrency
        self._at_once = settings.concurrency  # entries asked for in one reply: fewer after a timeout
        self.settled_at_once = STEP  # settlements in one request: fewer after a failure
        self._settling = STEP  # settlements in the last request, which may have failed
        self._cordoned = False  # the operator lets this worker go once its tasks are done
        self._due_first = True
        self._due_at = self._promote_at = 0.0  # loop times
        self._guard = guard.ClaimGuard(settings.visibility_timeout, self._now())
        self._claim_interval = min(LONGEST_CLAIM_INTERVAL, settings.visibility_timeout / 4)
        self._claim_at = self._next_claim()

    @property
    def is_settled(self) -> bool:
        """Nothing is on its way to this consumer."""
        return self._read is None and not self._must_adopt

    def look_again(self) -> None:
        """Have `adopt` look: a request that timed out may still be executed, and give this consumer entries unseen."""
        self._must_adopt = True

    def disturbed(self, problem: RedisProblem) -> None:
        """A call failed: its reply may be lost, and with it the sight of entries."""
        self.look_again()
        # Their results may be more than a request can hold, or than the network carries in time.
        self.settled_at_once = max(1, min(self.settled_at_once, self._settling) // 2)
        if problem.kind is ProblemKind.TIMEOUT:  # of large entries, fewer have time to arrive
            self._at_once = max(1, self._at_once // 2)
        self._guard.disturbed()
        self._claim_at = 0.0  # the guard's rest begins with its next look

    async def exchange(
        self, ended: Sequence[tuple[Taken, Settlement]], done: NewEntries | None, free: int
    ) -> Exchange | None:
        """Settle what ended or is done, and take up to `free` entries; None if there is nothing to do."""
        wanted = min(free, self._at_once) if self.is_settled else 0
        if not (ended or done or wanted):
            return None
        # Retries go first into half of the slots; with one slot, every other time.
        self._due_first = not self._due_first
        due_first = (wanted + 1) // 2 if wanted > 1 else wanted * self._due_first
        self._settling = len(ended) or STEP
        reply = await self._store.exchange(ended, wanted, due_first, done)
        self.settled_at_once = min(STEP, 2 * self.settled_at_once)
        if wanted:
            self._due_at = self._now() + (BLOCK if reply.next_due is None else reply.next_due)
            self._cordoned = reply.cordoned
            self._arrived(len(reply.again) + len(reply.new))
        return reply

    def block(self, most: int) -> None:
        """Begin to wait for new entries, at most BLOCK; while cordoned it only waits, and asks again afterwards.

        The read is never cancelled: a reply that nobody reads would hide its entries.
        """
        if not self.is_settled:
            return
        until = min(self._now() + BLOCK, self._due_at, self._promote_at)
        seconds = until - self._now()
        read = asyncio.sleep(BLOCK, False) if self._cordoned else self._store.wait(min(most, self._at_once), seconds)
        self._read = asyncio.create_task(read)
        self._read.add_done_callback(lambda _: self._wake.set())

    async def adopt(self, running: Iterable[str]) -> list[Taken]:
        """What this consumer holds but does not run, once a read has brought something or a reply was lost. To be
        called until there is no more.
        """
        if self._read is not None and self._read.done():
            read, self._read = self._read, None
            self._must_adopt |= read.result()
        if not self._must_adopt or self._read is not None:
            return []
        most = self._at_once
        entries = await self._store.adopt(running, most)
        self._must_adopt = len(entries) == most
        self._arrived(len(entries))
        return entries

    async def promote(self) -> None:
        """Delayed tasks that are due enter the stream, for whoever reads it.

        Where they have no room they wait, and nothing that is in hand waits for them.
        """
        if self._now() < self._promote_at:
            return
        try:
            _, until = await promote(self._client, self._stream)
        except RedisProblem as problem:
            if problem.kind is not ProblemKind.OUT_OF_MEMORY:
                raise
            log.warning("delayed tasks that are due stay where they are: %s", problem.message)
            self._promote_at = self._now() + LONGEST_PAUSE
            return
        self._promote_at = self._now() + min(BLOCK / 2, BLOCK if until is None else until)

    async def claim(self, most: int) -> list[Taken]:
        """Stuck work of others, from time to time: a round through the pending entries, until `most` are found."""
        if self._cordoned or self._now() < self._claim_at:
            return []
        self._claim_at = self._next_claim()
        if not self._guard.trusts(await guard.read_server(await node_of(self._client, self._stream)), self._now()):
            return []
        claimed: list[Taken] = []
        cursor = "-"
        most = min(most, self._at_once)
        while len(claimed) < most:
            entries, cursor = await self._store.claim(most - len(claimed), cursor)
            claimed += entries
            # What a worker died of runs alone: others would wait beside it, and be charged if this one dies, too.
            if cursor == "-" or any(entry.crashes for entry in entries):
                break
        return claimed

    def _arrived(self, entries: int) -> None:
        if entries:
            self._at_once = min(2 * self._at_once, self._concurrency)

    def _next_claim(self) -> float:
        """With jitter, so that idle workers don't look all at once."""
        return self._now() + self._claim_interval * random.uniform(0.5, 1.5)  # noqa: S311

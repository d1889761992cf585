"""The consume loop: settle what ended, take what fits, run it, wait.

A turn of it: `Intake` takes entries, the `Dispatcher` makes `Runs` of them and has the handler called. When a run ends,
the `Settler` says what becomes of its task, the next request tells Redis, and `Verdicts` counts what Redis answered.
Meanwhile `Leases` renews what is held, and `Relaying` delivers what was handed on.
"""

from __future__ import annotations

import asyncio
import logging
import secrets

from redis.asyncio import Redis

from streamqueue.api.keys import Keys
from streamqueue.streams.connection import ServerChanged
from streamqueue.streams.errors import ABSENT, RedisProblem
from streamqueue.streams.tasks import TaskStore
from streamqueue.worker.batch.handler import BatchHandler
from streamqueue.worker.dispatcher import Dispatcher
from streamqueue.worker.executors.forks import Process
from streamqueue.worker.handler import Handler
from streamqueue.worker.intake import Intake
from streamqueue.worker.leases import Leases
from streamqueue.worker.metrics.counters import Counters
from streamqueue.worker.metrics.exposition import Metrics
from streamqueue.worker.metrics.pool import Row
from streamqueue.worker.metrics.server import metrics_served
from streamqueue.worker.reconnecting import LONGEST_PAUSE, Reconnecting
from streamqueue.worker.relaying import Relaying
from streamqueue.worker.runs import Run
from streamqueue.worker.settings import Settings
from streamqueue.worker.settling.outcome import RELEASED
from streamqueue.worker.settling.verdicts import Verdicts

log = logging.getLogger(__name__)


def new_name(settings: Settings) -> str:
    """The pod's name, and a word of this process's own."""
    return f"{settings.consumer}.{secrets.token_hex(4)}"


class Consumer:
    """One process of a worker, made inside a running loop: `await run()`, with `stop()` from a signal handler."""

    def __init__(
        self,
        client: Redis,
        settings: Settings,
        handler: Handler | BatchHandler,
        name: str = "",
        row: Row | None = None,
    ) -> None:
        # New with every start, so that a process never takes an earlier one's entries for its own.
        self.name = name or new_name(settings)
        self.counters = Counters()
        self.metrics = Metrics(settings.stream, settings.group, self.counters)
        self._client = client
        self._settings = settings
        self._row = row
        self._loop = asyncio.get_running_loop()
        self._wake = asyncio.Event()
        keys = Keys(settings.stream, settings.group)
        self._store = TaskStore(client, keys, self.name, settings.limits)
        self._relaying = Relaying(client, keys, settings.connect_next_redis)
        self._intake = Intake(client, settings, self._store, self._wake)
        self._dispatcher = Dispatcher(handler, settings, self.metrics, self._wake, self._report_progress)
        self._leases = Leases(
            self._store, self._dispatcher.runs, settings.visibility_timeout / 3, self._lose, self._beat
        )
        self._verdicts = Verdicts(self.counters, self.metrics)
        self._must_renew = False
        self._process = Process()
        self._stopping = asyncio.Event()
        self._reconnecting = Reconnecting(self._stopping, settings.visibility_timeout / 4)
        self._deadline = 0.0  # loop time at which unfinished tasks are handed back, after stop()

    def stop(self) -> None:
        """Take no more, finish within the grace period; a second call hands back at once."""
        self._deadline = self._loop.time() + (0.0 if self._stopping.is_set() else self._settings.grace_period)
        self._stopping.set()
        self.pause()
        self._loop.call_at(self._deadline, self._wake.set)

    def pause(self) -> None:
        """Take nothing until resume(); what has not begun is handed back, what runs goes on."""
        self._dispatcher.is_open = False
        self._wake.set()

    def resume(self) -> None:
        self._dispatcher.is_open = not self._stopping.is_set()
        self._wake.set()

    async def run(self) -> None:
        """Until stop(). While Redis is away it waits.

        Raises `ServerChanged` when the URL's file leads to another server by now; RuntimeError when every slot is held
        by a handler that does not return, so that the container restarts.
        """
        async with metrics_served(self._settings.metrics_port, self._client, self.metrics, self._row):
            await self._run()

    async def _run(self) -> None:
        await self._reconnecting.until_the_group_exists(self._client, self._settings)
        heart = asyncio.create_task(self._leases.keep())
        relaying = asyncio.create_task(self._relaying.keep())
        for each in (heart, self._dispatcher.failed):
            each.add_done_callback(lambda _: self._wake.set())
        failures = 0
        try:
            while not self._is_finished():
                begun = self._loop.time()
                try:
                    await self._turn()
                    self._reconnecting.seen(begun)
                    failures = 0
                except RedisProblem as problem:
                    failures += 1
                    await self._after(problem, failures)
                for each in (heart, relaying, self._dispatcher.failed):
                    if each.done():  # a bug of ours: never go on without heartbeats or relays, or with a lost task
                        each.result()
        finally:
            heart.cancel()
            relaying.cancel()
            self._dispatcher.close()
        await self._relaying.end()
        await self._leave()

    def _is_finished(self) -> bool:
        return self._stopping.is_set() and not self._dispatcher.runs and self._intake.is_settled

    async def _turn(self) -> None:
        self._process.end_a_copy()
        self._wake.clear()
        if self._must_renew:
            # First of all after a disturbance: the leases may be about to expire.
            await self._leases.renew()
            self._must_renew = False
        if not self._dispatcher.is_open:
            self._dispatcher.hand_back(all_of_it=self._stopping.is_set() and self._loop.time() >= self._deadline)
        try:
            taken = await self._take()
        finally:
            self._dispatcher.start()  # also where Redis failed on the way: what has been taken begins
        free = self._dispatcher.free()
        if free and not taken:
            self._intake.block(free)
        if self._dispatcher.runs.is_settled and not (taken and free) and not self._is_finished():
            if not self._stopping.is_set():
                self._dispatcher.must_return()
            await self._wake.wait()

    async def _take(self) -> int:
        """Settle what has ended, and begin what can be had from wherever; how many new entries there were."""
        dispatcher = self._dispatcher
        while adopted := await self._intake.adopt(run.id for run in dispatcher.runs.held()):
            free = dispatcher.free()
            dispatcher.begin(adopted[:free])
            dispatcher.release(adopted[free:])
        if dispatcher.free():  # before new ones are taken, or stuck ones would wait for the end of a backlog
            claimed = await self._intake.claim(dispatcher.free())
            self.counters.claimed += len(claimed)
            dispatcher.begin(claimed)
        taken = await self._exchange()
        if dispatcher.free():
            await self._intake.promote()
        dispatcher.begin_alone()
        return taken

    async def _exchange(self) -> int:
        """Settle what has ended and fill the free slots; how many entries were taken."""
        runs = self._dispatcher.runs
        ended, done = runs.first_ended(self._intake.settled_at_once), runs.done
        settled = [(run.entry, settlement) for run, settlement in ended]
        reply = await self._intake.exchange(settled, done.new if done else None, self._dispatcher.free())
        if reply is None:
            return 0
        if ended:
            del runs.ended[: len(ended)]
            self._verdicts.take([run for run, _ in ended], reply.verdicts[: len(ended)])
        if done:
            runs.done = None
            self._verdicts.take_whole(done, reply.verdicts[len(ended) :])
        if reply.outboxed:
            self._relaying.soon()
        if reply.again:
            self._dispatcher.begin(reply.again)
        self._dispatcher.begin_new(reply.new)
        return len(reply.again) + len(reply.new)

    def _report_progress(self) -> None:
        """From any thread."""
        self._loop.call_soon_threadsafe(self._leases.report_progress)

    def _beat(self, problem: RedisProblem | None) -> None:
        if problem:
            self._intake.disturbed(problem)
            return
        self._intake.look_again()
        self._wake.set()

    def _lose(self, run: Run) -> None:
        self.counters.stolen += 1
        self._dispatcher.lose(run)

    # Redis away

    async def _after(self, problem: RedisProblem, failures: int) -> None:
        log.warning("%s", problem.message)
        self._must_renew = True
        self._intake.disturbed(problem)
        self._store.reach.forget()
        if isinstance(problem, ServerChanged):
            self._leave_for_there(problem)
        if problem.kind in ABSENT:
            await self._reconnecting.until_the_group_exists(self._client, self._settings)
        if self._stopping.is_set() and self._loop.time() > self._deadline + LONGEST_PAUSE:
            raise problem
        await self._reconnecting.pause(failures)

    def _leave_for_there(self, problem: RedisProblem) -> None:
        """The next process goes there; what runs may still be settled here, by connections that live."""
        if not self._dispatcher.runs:
            raise problem
        if not self._stopping.is_set():
            self.stop()

    async def _leave(self) -> None:
        try:
            try:
                await self._give_up_the_name()
            except RedisProblem:  # a connection may be lost just now
                await self._give_up_the_name()
        except RedisProblem as problem:
            log.warning("the consumer %s stays: %s", self.name, problem.message)
        log.info("%s: %s", self.name, self.counters)

    async def _give_up_the_name(self) -> None:
        while not await self._store.leave():  # a late request has taken what nobody knows of
            entries = await self._store.adopt([], self._settings.concurrency)
            await self._store.exchange([(entry, RELEASED) for entry in entries], 0, 0)

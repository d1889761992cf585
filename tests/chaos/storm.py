"""Producers, workers and a Redis that is broken under them, by a plan with a seed."""

from __future__ import annotations

import asyncio
import random
import shutil
import signal
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from redis.asyncio import Redis

from streamqueue.api.keys import Keys
from streamqueue.maintenance import sweep
from streamqueue.streams import RedisProblem
from streamqueue.streams.cordon import cordon
from tests.chaos.actors import STREAM, VISIBILITY, Actor
from tests.chaos.nursery import Child, Nursery
from tests.chaos.records import Records
from tests.chaos.stage import Stage
from tests.chaos.weather import NEVER, SDK, Aftermath, Loop, Weather
from tests.redis.proxy import Proxy
from tests.redis.queue import Queue, spec
from tests.redis.servers.process import RunningServer

TICK = 0.25  # seconds
SLOW = 0.2  # seconds that each piece takes while the network is slow
SLOW_TICKS = 4
STANDSTILL = 60.0  # seconds without a run and without a fault, after which what is left will never be done
SHARE = 0.1  # of the tasks that the plan has between two faults of a kind, done before the next one
FAULTS = ("kill", "term", "cordon", "network", "restart", "failover")
CORDONED = 2.0  # seconds


class Storm:
    """A fault of a kind strikes when its time has come, and something was done since the last one of that kind: on a
    machine that is slow a storm takes longer, and is not harder.
    """

    def __init__(
        self,
        weather: Weather,
        server: RunningServer,
        seed: int,
        loop: Loop = SDK,
        tell: Callable[[Aftermath], None] = lambda _: None,
        replica: RunningServer | None = None,
    ) -> None:
        self._weather = weather
        self._servers = server, replica
        self._loop = loop
        self._tell = tell
        self._chance = random.Random(seed)
        self._folder = Path(tempfile.mkdtemp(prefix="streamqueue-storm-"))
        self._sent, self._done = Records(self._folder, "sent"), Records(self._folder, "done")
        self._workers: list[Child] = []
        self._leaving: list[Child] = []
        self._slow_until = 0
        self._started = 0
        self._next = {fault: self._pause(fault) for fault in FAULTS}
        self._seen = dict.fromkeys(FAULTS, 0)
        self._after = Aftermath(weather.workers, loop.in_flight, self._sent.lines, self._done.lines)

    async def rage(self) -> Aftermath:
        """Until all that was acknowledged is done, or nothing more gets done, or the deadline."""
        started = time.monotonic()
        async with Nursery() as self._nursery, Proxy(self._servers[0].port) as proxy:
            proxy.loss, proxy.chance = self._weather.loss, self._chance
            self._stage = Stage(*self._servers, proxy, self._chance)
            await self._stage.begin()
            producers = [await self._producer(proxy, n) for n in range(self._weather.producers)]
            self._workers = [await self._worker(proxy) for _ in range(self._weather.workers)]
            tick, done, progress = 0, 0, time.monotonic()
            while time.monotonic() - started < self._weather.deadline:
                await asyncio.sleep(TICK)
                tick += 1
                self._after.seconds = time.monotonic() - started
                self._tell(self._count(proxy))
                if len(self._after.runs) > done or any(producer.is_alive for producer in producers):
                    done, progress = len(self._after.runs), time.monotonic()
                elif not self._after.lost or time.monotonic() - progress > STANDSTILL:
                    break
                await self._strike(proxy, tick, time.monotonic() - started)
            proxy.delay = proxy.loss = 0.0
            await self._calm_down(producers)
            self._count(proxy)
        self._after.seconds = time.monotonic() - started
        if not self._after.lost:
            shutil.rmtree(self._folder)
        return self._after

    async def _strike(self, proxy: Proxy, tick: int, now: float) -> None:
        self._leaving = [process for process in self._leaving if process.is_alive]
        if proxy.delay and tick >= self._slow_until:
            proxy.delay = 0.0
        for fault, number in (("kill", signal.SIGKILL), ("term", signal.SIGTERM)):
            if self._is_due(fault, now):
                victim = self._chance.randrange(len(self._workers))
                self._workers[victim].signal(number)
                self._leaving.append(self._workers[victim])
                self._workers[victim] = await self._worker(proxy)
        if self._is_due("cordon", now):
            await self._cordon(f"done-{self._started - self._chance.randrange(len(self._workers))}")
        if self._is_due("network", now):
            if self._chance.random() < 0.5:
                proxy.cut()
            else:
                proxy.delay, self._slow_until = SLOW, tick + SLOW_TICKS
        if self._is_due("restart", now):
            await self._stage.restart()
        if self._is_due("failover", now) and not await self._stage.fail_over():
            self._after.faults["failover"] -= 1

    async def _cordon(self, worker: str) -> None:
        async with Redis.from_url(self._stage.primary.url, protocol=2) as redis:
            with suppress(RedisProblem):
                await cordon(redis, Keys(STREAM, Queue.group), [worker], CORDONED)

    def _is_due(self, fault: str, now: float) -> bool:
        done = len(self._after.runs)
        if now < self._next[fault] or done - self._seen[fault] < self._weather.rate * SHARE * self._every(fault):
            return False
        # From now: a machine that is behind must not make up for it.
        self._next[fault] = now + self._pause(fault)
        self._seen[fault] = done
        self._after.faults[fault] += 1
        return True

    def _pause(self, fault: str) -> float:
        seconds = self._every(fault)
        return self._chance.expovariate(1 / seconds) if self._weather.chance and seconds < NEVER else seconds

    def _every(self, fault: str) -> float:
        seconds: float = getattr(self._weather, fault)
        return seconds

    async def _calm_down(self, producers: list[Child]) -> None:
        """What the dead left is taken over, what is in hand is finished, and the CronJob's pass is made."""
        async with Redis.from_url(self._stage.primary.url, protocol=2) as redis:
            until = time.monotonic() + STANDSTILL
            while time.monotonic() < until and (await redis.xpending(STREAM, Queue.group))["pending"]:  # noqa: ASYNC110
                await asyncio.sleep(TICK)
        for process in [*self._workers, *producers]:
            process.signal(signal.SIGTERM)
        for process in [*self._workers, *self._leaving, *producers]:
            await process.wait(60)
        async with Redis.from_url(self._stage.primary.url, protocol=2) as redis:
            await sweep(redis, replace(spec(consumer_ttl=0.0), stream=STREAM))
            self._after.pending = (await redis.xpending(STREAM, Queue.group))["pending"]
            self._after.consumers = len(await redis.xinfo_consumers(STREAM, Queue.group))
            self._after.dead = await redis.xlen(f"{{{STREAM}}}:g:{Queue.group}:dlq")

    async def _producer(self, proxy: Proxy, n: int) -> Child:
        weather = self._weather
        environment = {"STORM_LONG": str(weather.long), "STORM_REPLICATED": str(int(self._servers[1] is not None))}
        return await self._start(
            proxy, f"sent-{n}", environment, weather.tasks // weather.producers, weather.rate / weather.producers
        )

    async def _worker(self, proxy: Proxy) -> Child:
        self._started += 1
        return await self._start(proxy, f"done-{self._started}", {})

    async def _start(self, proxy: Proxy, name: str, extra: dict[str, str], count: int = 0, rate: float = 0.0) -> Child:
        environment = extra | {
            "STREAMQUEUE_REDIS_URL": proxy.url,
            "STREAMQUEUE_STREAM": STREAM,
            "STREAMQUEUE_CONSUMER": name,
            "STREAMQUEUE_CONCURRENCY": str(self._loop.in_flight),
            "STREAMQUEUE_VISIBILITY_TIMEOUT": str(VISIBILITY),
            "STREAMQUEUE_TIMEOUT": "10",
            "STREAMQUEUE_MAX_DELIVERIES": "20",
            "STREAMQUEUE_BACKOFF_INITIAL": "0.1",
        }
        record = self._folder / name
        record.touch()
        return await self._nursery.fork(self._loop.name, Actor(str(record), environment, count, rate))

    def _count(self, proxy: Proxy) -> Aftermath:
        """Read the records."""
        self._sent.update()
        self._done.update()
        self._after.faults["lost reply"] = proxy.lost
        return self._after

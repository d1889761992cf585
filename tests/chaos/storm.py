"""Producers, workers and a Redis that is broken under them, by a plan with a seed."""

from __future__ import annotations

import asyncio
import random
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from redis.asyncio import Redis

from streamqueue.maintenance import sweep
from tests.chaos.actors import STREAM, Actor
from tests.chaos.nursery import Child, Nursery
from tests.redis.proxy import Proxy
from tests.redis.queue import Queue, spec
from tests.redis.servers.process import RunningServer

TICK = 0.25  # seconds
VISIBILITY = 2.0
SLOW = 0.2  # seconds that each piece takes while the network is slow
SLOW_TICKS = 4
STANDSTILL = 20.0  # seconds without a run, at the end, after which what is left will never be done


@dataclass(frozen=True, slots=True)
class Loop:
    """Whose workers and producers; `in_flight`: tasks that one of its workers has in hand at most."""

    name: str
    in_flight: int


SDK = Loop("sdk", in_flight=4)
NAIVE = Loop("naive", in_flight=10)


@dataclass(frozen=True, slots=True)
class Weather:
    """The storm's size. Seconds between two faults of a kind; `loss` is the chance that a reply never comes."""

    tasks: int
    producers: int
    workers: int
    rate: float  # tasks a second, of all producers
    kill: float
    restart: float
    network: float
    loss: float
    deadline: float  # seconds for the whole


@dataclass(slots=True)
class Aftermath:
    """What was counted. `runs`: how often each task was done."""

    workers: int
    in_flight: int
    acknowledged: set[str] = field(default_factory=set)
    runs: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    pending: int = -1
    consumers: int = -1
    dead: int = -1
    seconds: float = 0.0

    @property
    def lost(self) -> int:
        return len(self.acknowledged - set(self.runs))

    @property
    def duplicates(self) -> int:
        return sum(self.runs.values()) - len(self.runs)

    @property
    def allowed_duplicates(self) -> int:
        """Faults times tasks in flight: one worker's for a kill or a reply, everyone's for Redis or the network."""
        one = self.faults["kill"] + self.faults["lost reply"]
        everyone = self.faults["restart"] + self.faults["network"]
        return self.in_flight * (one + everyone * self.workers)

    def figures(self) -> dict[str, int | float]:
        return {
            "acknowledged": len(self.acknowledged),
            "lost": self.lost,
            "duplicates": self.duplicates,
            "allowed_duplicates": self.allowed_duplicates,
            "pending": self.pending,
            "consumers": self.consumers,
            "dead": self.dead,
            "seconds": round(self.seconds, 1),
            **self.faults,
        }

    def __str__(self) -> str:
        faults = ", ".join(f"{count} {name}" for name, count in sorted(self.faults.items()))
        return (
            f"{len(self.acknowledged)} acknowledged, {self.lost} lost, {self.duplicates} duplicates "
            f"(at most {self.allowed_duplicates}), {self.pending} pending, {self.consumers} consumers, "
            f"{self.dead} dead, in {self.seconds:.0f} s with faults: {faults}"
        )


class Storm:
    def __init__(
        self,
        weather: Weather,
        server: RunningServer,
        seed: int,
        loop: Loop = SDK,
        tell: Callable[[Aftermath], None] = lambda _: None,
    ) -> None:
        self._weather = weather
        self._server = server
        self._loop = loop
        self._tell = tell
        self._chance = random.Random(seed)
        self._folder = Path(tempfile.mkdtemp(prefix="streamqueue-storm-"))
        self._workers: list[Child] = []
        self._slow_until = 0
        self._started = 0
        self._next = {"kill": weather.kill, "restart": weather.restart, "network": weather.network}
        self._after = Aftermath(weather.workers, loop.in_flight)

    async def rage(self) -> Aftermath:
        """Until all that was acknowledged is done, or nothing more gets done, or the deadline."""
        started = time.monotonic()
        async with Nursery() as self._nursery, Proxy(self._server.port) as proxy:
            proxy.loss, proxy.chance = self._weather.loss, self._chance
            producers = [await self._producer(proxy, n) for n in range(self._weather.producers)]
            self._workers = [await self._worker(proxy) for _ in range(self._weather.workers)]
            tick, done, progress = 0, 0, started
            while time.monotonic() - started < self._weather.deadline:
                await asyncio.sleep(TICK)
                tick += 1
                if tick % 8 == 0:
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
        return self._after

    async def _strike(self, proxy: Proxy, tick: int, now: float) -> None:
        if proxy.delay and tick >= self._slow_until:
            proxy.delay = 0.0
        if self._is_due("kill", now):
            victim = self._chance.randrange(len(self._workers))
            self._workers[victim].signal(signal.SIGKILL)
            self._workers[victim] = await self._worker(proxy)
        if self._is_due("network", now):
            if self._chance.random() < 0.5:
                proxy.cut()
            else:
                proxy.delay, self._slow_until = SLOW, tick + SLOW_TICKS
        if self._is_due("restart", now):
            await asyncio.to_thread(self._server.kill, self._chance.choice((signal.SIGKILL, signal.SIGTERM)))
            await asyncio.to_thread(self._server.start)

    def _is_due(self, fault: str, now: float) -> bool:
        if now < self._next[fault]:
            return False
        # From now: a machine that is behind must not make up for it.
        self._next[fault] = now + getattr(self._weather, fault)
        self._after.faults[fault] += 1
        return True

    async def _calm_down(self, producers: list[Child]) -> None:
        """What the dead left is taken over, what is in hand is finished, and the CronJob's pass is made."""
        async with Redis.from_url(self._server.url, protocol=2) as redis:
            until = time.monotonic() + STANDSTILL
            while time.monotonic() < until and (await redis.xpending(STREAM, Queue.group))["pending"]:  # noqa: ASYNC110
                await asyncio.sleep(TICK)
        for process in [*self._workers, *producers]:
            process.signal(signal.SIGTERM)
        for process in [*self._workers, *producers]:
            await process.wait(60)
        async with Redis.from_url(self._server.url, protocol=2) as redis:
            await sweep(redis, replace(spec(consumer_ttl=0.0), stream=STREAM))
            self._after.pending = (await redis.xpending(STREAM, Queue.group))["pending"]
            self._after.consumers = len(await redis.xinfo_consumers(STREAM, Queue.group))
            self._after.dead = await redis.xlen(f"{{{STREAM}}}:g:{Queue.group}:dlq")

    async def _producer(self, proxy: Proxy, n: int) -> Child:
        count = self._weather.tasks // self._weather.producers
        return await self._start(proxy, f"sent-{n}", count, self._weather.rate / self._weather.producers)

    async def _worker(self, proxy: Proxy) -> Child:
        self._started += 1
        return await self._start(proxy, f"done-{self._started}")

    async def _start(self, proxy: Proxy, name: str, count: int = 0, rate: float = 0.0) -> Child:
        environment = {
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
        self._after.acknowledged = {line for path in self._records("sent") for line in path.read_text().splitlines()}
        self._after.runs = Counter(line for path in self._records("done") for line in path.read_text().splitlines())
        self._after.faults["lost reply"] = proxy.lost
        return self._after

    def _records(self, kind: str) -> list[Path]:
        return [path for path in self._folder.glob(f"{kind}-*") if path.suffix != ".log"]

"""Producers, workers and a Redis that is broken under them, in the manner of a chaos monkey with a seed."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from redis.asyncio import Redis

from tests.chaos.actors import STREAM
from tests.redis.proxy import Proxy
from tests.redis.servers.process import RunningServer

TICK = 0.25  # seconds
VISIBILITY = 2.0
CONCURRENCY = 4
SLOW = 0.2  # seconds that each piece takes while the network is slow
SLOW_TICKS = 4


@dataclass(frozen=True, slots=True)
class Weather:
    """The storm's size; chances are per tick of 250 ms."""

    tasks: int
    producers: int
    workers: int
    rate: float  # tasks a second, of all producers
    restart: float = 0.02
    kill: float = 0.08
    network: float = 0.05
    deadline: float = 600.0  # seconds for the whole


@dataclass(slots=True)
class Aftermath:
    """What was counted. `runs`: how often each task was done."""

    acknowledged: set[str] = field(default_factory=set)
    runs: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    pending: int = -1
    dead: int = -1
    seconds: float = 0.0
    workers: int = 0

    @property
    def lost(self) -> set[str]:
        return self.acknowledged - set(self.runs)

    @property
    def duplicates(self) -> int:
        return sum(self.runs.values()) - len(self.runs)

    @property
    def allowed_duplicates(self) -> int:
        """Faults times tasks in flight: one worker's for a kill, everyone's for a fault of Redis or the network."""
        everyone = self.workers * CONCURRENCY
        return self.faults["kill"] * CONCURRENCY + (self.faults["restart"] + self.faults["network"]) * everyone

    def __str__(self) -> str:
        faults = ", ".join(f"{count} {name}" for name, count in sorted(self.faults.items()))
        return (
            f"{len(self.acknowledged)} acknowledged, {len(self.lost)} lost, {self.duplicates} duplicates "
            f"(at most {self.allowed_duplicates}), {self.pending} pending, {self.dead} dead, "
            f"in {self.seconds:.0f} s with faults: {faults}"
        )


class Storm:
    def __init__(self, weather: Weather, server: RunningServer, seed: int) -> None:
        self._weather = weather
        self._server = server
        self._chance = random.Random(seed)
        self._folder = Path(tempfile.mkdtemp(prefix="streamqueue-storm-"))
        self._workers: list[asyncio.subprocess.Process] = []
        self._slow_until = 0
        self._after = Aftermath(workers=weather.workers)

    async def rage(self) -> Aftermath:
        """Until all that was acknowledged is done, or the deadline."""
        started = time.monotonic()
        async with Proxy(self._server.port) as proxy:
            producers = [await self._producer(proxy, n) for n in range(self._weather.producers)]
            self._workers = [await self._worker(proxy) for _ in range(self._weather.workers)]
            tick = 0
            while time.monotonic() - started < self._weather.deadline:
                await asyncio.sleep(TICK)
                tick += 1
                sending = any(producer.returncode is None for producer in producers)
                if not sending and not self._count().lost:
                    break
                await self._strike(proxy, tick)
            proxy.delay = 0.0
            await self._calm_down(proxy, producers)
        self._after.seconds = time.monotonic() - started
        return self._count()

    async def _strike(self, proxy: Proxy, tick: int) -> None:
        if proxy.delay and tick >= self._slow_until:
            proxy.delay = 0.0
        if self._chance.random() < self._weather.kill:
            self._after.faults["kill"] += 1
            victim = self._chance.randrange(len(self._workers))
            self._workers[victim].kill()
            await self._workers[victim].wait()
            self._workers[victim] = await self._worker(proxy)
        if self._chance.random() < self._weather.network:
            self._after.faults["network"] += 1
            if self._chance.random() < 0.5:
                proxy.cut()
            else:
                proxy.delay, self._slow_until = SLOW, tick + SLOW_TICKS
        if self._chance.random() < self._weather.restart:
            self._after.faults["restart"] += 1
            await asyncio.to_thread(self._server.kill, self._chance.choice((signal.SIGKILL, signal.SIGTERM)))
            await asyncio.to_thread(self._server.start)

    async def _calm_down(self, proxy: Proxy, producers: list[asyncio.subprocess.Process]) -> None:
        """What a worker has in hand is finished before the books are read."""
        for process in [*self._workers, *producers]:
            if process.returncode is None:
                process.terminate()
        for process in [*self._workers, *producers]:
            await asyncio.wait_for(process.wait(), 30)
        async with Redis.from_url(self._server.url) as redis:
            self._after.pending = (await redis.xpending(STREAM, "workers"))["pending"]
            self._after.dead = await redis.xlen(f"{{{STREAM}}}:g:workers:dlq")

    async def _producer(self, proxy: Proxy, n: int) -> asyncio.subprocess.Process:
        count = self._weather.tasks // self._weather.producers
        rate = self._weather.rate / self._weather.producers
        return await self._actor(proxy, "producer", f"sent-{n}", f"p{n}", str(count), str(rate))

    async def _worker(self, proxy: Proxy) -> asyncio.subprocess.Process:
        return await self._actor(
            proxy, "worker", f"done-{len(list(self._folder.glob('done-*')))}-{time.monotonic_ns()}"
        )

    async def _actor(self, proxy: Proxy, role: str, record: str, *arguments: str) -> asyncio.subprocess.Process:
        environment = {
            **os.environ,
            "STREAMQUEUE_REDIS_URL": proxy.url,
            "STREAMQUEUE_STREAM": STREAM,
            "STREAMQUEUE_CONSUMER": record,
            "STREAMQUEUE_CONCURRENCY": str(CONCURRENCY),
            "STREAMQUEUE_VISIBILITY_TIMEOUT": str(VISIBILITY),
            "STREAMQUEUE_TIMEOUT": "10",
            "STREAMQUEUE_MAX_DELIVERIES": "20",
            "STREAMQUEUE_BACKOFF_INITIAL": "0.1",
        }
        path = self._folder / record
        path.touch()
        with (self._folder / f"{record}.log").open("wb") as log:
            command = (sys.executable, "-m", "tests.chaos.actors", role, str(path), *arguments)
            return await asyncio.create_subprocess_exec(*command, env=environment, stdout=log, stderr=log)

    def _count(self) -> Aftermath:
        """Read the records."""
        self._after.acknowledged = {line for path in self._records("sent") for line in path.read_text().splitlines()}
        self._after.runs = Counter(line for path in self._records("done") for line in path.read_text().splitlines())
        return self._after

    def _records(self, kind: str) -> list[Path]:
        return [path for path in self._folder.glob(f"{kind}-*") if path.suffix != ".log"]

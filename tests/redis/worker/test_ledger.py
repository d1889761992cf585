"""Whatever happens to workers and their requests: each task ends once, is told of once, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import math
import random
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import Any

import pytest
from redis.asyncio import Redis

from streamqueue import Context, Worker
from streamqueue import Queue as Producer
from streamqueue.api.spec import Handler, Protocol
from streamqueue.maintenance import release, sweep
from streamqueue.streams.tasks import _ADOPT, _CLAIM, _EXCHANGE, _RENEW
from tests.redis.proxy import Proxy
from tests.redis.queue import Queue, spec
from tests.redis.servers.process import RunningServer, free_port
from tests.redis.worker.pod import made, until
from tests.redis.worker.stores import KEYS

TASKS = 300
ACCIDENTS = 25
NEAR, FAR = "{orders}:near", "far"
RESULTS = 600.0  # seconds
SDK = replace(spec(visibility=2.0, results_ttl=RESULTS), handler=Handler(image="none", protocol=Protocol.SDK))


async def handle(task: dict[str, str], ctx: Context) -> dict[str, str]:
    await asyncio.sleep(float(task["seconds"]))
    if task["kind"] == "poison" or (task["kind"] == "flaky" and ctx.attempt == 1):
        raise ValueError(task["kind"])
    ctx.emit(NEAR, {"of": ctx.id})
    return {"of": ctx.id}


@dataclass
class Pod:
    worker: Worker
    serving: asyncio.Task[None]
    proxy: Proxy


class Fleet:
    """Workers behind proxies, and what happens to them; drawn from `chance`."""

    def __init__(self, queue: Queue, port: int, stack: AsyncExitStack, chance: random.Random) -> None:
        self.queue, self.port, self.stack, self.chance = queue, port, stack, chance
        self.pods: list[Pod] = []
        self.gone: list[Pod] = []
        self.held: list[Proxy] = []

    async def start(self) -> None:
        proxy = await self.stack.enter_async_context(Proxy(self.port))
        proxy.loss, proxy.chance = 0.01, self.chance
        settings: dict[str, Any] = {"visibility_timeout": 2.0, "backoff_max": 0.1, "results_ttl": RESULTS}
        by_outbox = {"next_stream": FAR, "next_redis_url": proxy.url}
        name = f"pod-{len(self.pods) + len(self.gone)}"
        worker = made(proxy.url, handle, consumer=name, concurrency=6, max_deliveries=3, **settings, **by_outbox)
        self.pods.append(Pod(worker, asyncio.create_task(worker.serve()), proxy))

    async def meet(self, accident: str) -> None:
        pod = self.chance.choice(self.pods)
        if accident == "cut":
            pod.proxy.cut()
        elif accident == "away":  # until its leases are over, and others have its tasks
            pod.proxy.lead_to(free_port())
            asyncio.get_running_loop().call_later(3.0, pod.proxy.lead_to, self.port)
        elif accident == "late":
            pod.proxy.hold(self.chance.choice((_ADOPT, _CLAIM, _EXCHANGE, _EXCHANGE, _RENEW)).sha)
            self.held.append(pod.proxy)
        elif accident == "arrival":
            for proxy in self.held:
                await proxy.let_go()
        else:
            self.pods.remove(pod)
            self.gone.append(pod)
            await self.start()
            if accident == "stop":
                pod.worker.stop()
            else:
                await self.kill(pod)

    async def kill(self, pod: Pod) -> None:
        """Its operator sees it, or nobody does."""
        pod.proxy.lead_to(free_port())
        pod.serving.cancel()
        if self.chance.random() < 0.5 and pod.worker._consumer:
            await release(self.queue.redis, SDK, pod.worker._consumer.name, math.inf, "OOMKilled")

    async def end(self) -> None:
        for pod in self.pods:
            pod.worker.stop()
        ends = await asyncio.gather(*(pod.serving for pod in (*self.pods, *self.gone)), return_exceptions=True)
        assert not [end for end in ends if end and not isinstance(end, asyncio.CancelledError)]


async def send(producer: Producer, chance: random.Random) -> list[str]:
    """Some twice, some late; their ids."""
    ids = []
    for n in range(TASKS):
        task = {"kind": chance.choices(("good", "flaky", "poison"), (80, 10, 10))[0], "seconds": chance.random() ** 4}
        for _ in range(1 + (chance.random() < 0.2)):
            await producer.send(task, id=f"task-{n}", delay=chance.choice((0.0, 0.0, 0.0, 0.3)))
        ids.append(f"task-{n}")
    return ids


async def named(redis: Redis, stream: str, name: bytes) -> Counter[str]:
    return Counter(fields[name].decode() for _, fields in await redis.xrange(stream))


@pytest.mark.on("redis-7.0", "valkey-9.1")
async def test_each_task_ends_once_and_leaves_nothing_behind(queue: Queue, shared_server: RunningServer) -> None:
    redis, number = queue.redis, random.randrange(1_000_000)
    print("drawn from", number)
    chance = random.Random(number)
    async with AsyncExitStack() as stack:
        fleet = Fleet(queue, shared_server.port, stack, chance)
        for _ in range(3):
            await fleet.start()
        own = await stack.enter_async_context(Proxy(shared_server.port))
        own.loss, own.chance = 0.02, chance
        producer = await stack.enter_async_context(Producer(own.url, queue.stream, patience=60.0))
        ids = await send(producer, chance)
        waiting = [asyncio.create_task(producer.wait(each)) for each in ids]
        for _ in range(ACCIDENTS):
            await asyncio.sleep(chance.random() * 0.3)
            await fleet.meet(chance.choice(("away", "cut", "late", "arrival", "arrival", "stop", "kill")))
            await sweep(redis, SDK)
        fleet.held += [pod.proxy for pod in fleet.pods]
        await fleet.meet("arrival")
        told = await asyncio.wait_for(asyncio.gather(*waiting), 60)

        async def is_empty() -> bool:
            return not await redis.exists(KEYS.outboxes, KEYS.due, KEYS.lease) and not await queue.pending()

        await until(is_empty, "an end of all")
        await fleet.end()
    near, far, dead = await named(redis, NEAR, b"of"), await named(redis, FAR, b"sq-id"), Counter[str]()
    for letter in await queue.dead():
        dead[letter["sq-id"]] += 1
    assert [(near[each], far[each], dead[each]) for each in ids] == [
        (1, 1, 0) if each.state == "done" else (0, 0, 1) for each in told
    ]
    assert await queue.pending() == []
    left = {key.decode() for key in await redis.keys() if await redis.pttl(key) < 0 and b":seen:" not in key}
    assert left - {queue.stream, queue.dlq, NEAR, FAR, KEYS.server} == set()

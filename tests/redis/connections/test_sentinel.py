"""Three sentinels, a primary and its replica: who is primary is asked of the sentinels, and again after a failover."""

from __future__ import annotations

import asyncio

import pytest

from streamqueue import Queue as Producer
from streamqueue.api.spec import RedisMode
from streamqueue.maintenance import QuietReason, release, sweep
from streamqueue.streams import ProblemKind, RedisProblem, Snapshot, connect
from tests.redis.connections import steps
from tests.redis.queue import Queue, spec
from tests.redis.servers.process import free_port
from tests.redis.servers.sentinel import RunningSentinels
from tests.redis.worker.pod import until, working

# Sentinel is a program of its own; the servers behind it are those of the other tests.
pytestmark = pytest.mark.on("redis-7.0", "valkey-9.1")


async def test_a_failover_is_unknown_then_heals_and_takes_no_live_work(sentinels: RunningSentinels) -> None:
    async with connect(f"{sentinels.url}?socket_timeout=1") as client:
        queue = Queue(client)
        await queue.create()
        await queue.add(5)
        await queue.read("pod-1", count=2)
        await queue.age(61)
        await queue.settle(spec())
        assert await client.execute_command("WAIT", 1, 4000) == 1
        sentinels.primary.kill()
        answers = await steps.looks_until_healed(client)
        assert isinstance(answers[0], RedisProblem)
        healed = answers[-1]
        assert isinstance(healed, Snapshot) and (healed.undelivered, healed.pending) == (3, 2)
        report = await sweep(client, spec())
        assert (report.returned, report.quiet_reason) == (0, QuietReason.RESTART)
        # What the cluster tells is evidence all the same.
        assert (await release(client, spec(), "pod-1", await queue.now() + 1, "Error")).returned == 2


async def test_workers_and_producers_go_on_after_a_failover(sentinels: RunningSentinels) -> None:
    done: list[str] = []

    async def handle(task: dict[str, str]) -> None:
        done.append(task["n"])

    async with (
        Producer(sentinels.url, Queue.stream, mode=RedisMode.SENTINEL, patience=steps.PATIENCE) as producer,
        working(sentinels.url, handle),
    ):
        await producer.send({"n": "before"}, replicated=True)
        await until(lambda: done == ["before"], "the first task is done")
        await asyncio.to_thread(sentinels.primary.kill)
        await producer.send({"n": "after"})
        await until(lambda: "after" in done, "the second task is done")
    assert done.count("after") == 1


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("redis+sentinel://127.0.0.1:{nobody}/mymaster", ProblemKind.UNREACHABLE),
        ("redis+sentinel://127.0.0.1:{sentinel}/another-name", ProblemKind.UNREACHABLE),
        ("redis+sentinel://127.0.0.1:{sentinel}", ProblemKind.BAD_URL),
        ("redis+sentinel://127.0.0.1:{sentinel}/mymaster/x", ProblemKind.BAD_URL),
    ],
)
async def test_what_cannot_be_found_is_said(sentinels: RunningSentinels, url: str, kind: ProblemKind) -> None:
    filled = url.format(nobody=free_port(), sentinel=sentinels.sentinels[0].port)
    try:
        async with connect(filled) as client:
            answer = await steps.look(client)
    except RedisProblem as problem:
        answer = problem
    assert isinstance(answer, RedisProblem) and answer.kind is kind

"""`python3 -m streamqueue.maintenance`: what the CronJob runs."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import Any

import pytest
from redis.asyncio import Redis

from streamqueue.api.keys import target_on_next_redis
from streamqueue.streams import connect
from streamqueue.streams.enqueue import STEP, NewTask, enqueue
from tests.redis.queue import Queue
from tests.redis.servers.process import RunningServer, free_port
from tests.redis.worker.stores import KEYS

pytestmark = pytest.mark.process

SPEC: dict[str, Any] = {
    "redis": {"url": "redis://redis:6379/0"},
    "stream": "orders",
    "group": "workers",
    "handler": {"image": "registry.example/orders:1", "timeout": "1s"},
    "delivery": {"visibilityTimeout": "30s"},
}


async def run(environment: dict[str, str]) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "streamqueue.maintenance",
        env={"PATH": os.environ["PATH"], **environment},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def test_a_pass_prints_one_line(redis: Redis, shared_server: RunningServer) -> None:
    queue = Queue(redis)
    await queue.create()
    await queue.add(2)
    await queue.read()
    await queue.age(61)
    environment = {"STREAMQUEUE_SPEC": json.dumps(SPEC), "STREAMQUEUE_REDIS_URL": shared_server.url}
    code, out, err = await run(environment)
    assert (code, err) == (0, "") and "off until" in out and out.count("\n") == 1
    await queue.redis.hset(queue.epoch, "since", 0)
    assert await run(environment) == (0, "orders/workers: 2 returned\n", "")


async def test_a_pass_lets_delayed_tasks_in_without_operator_or_workers(
    redis: Redis, shared_server: RunningServer
) -> None:
    waiting = STEP + 5
    tasks = [NewTask(f"t{n}", [("task", str(n))], delay=0.001) for n in range(waiting)]
    await enqueue(redis, Queue.stream, tasks[:STEP])
    await enqueue(redis, Queue.stream, [*tasks[STEP:], NewTask("later", [("task", "later")], delay=3600.0)])
    environment = {"STREAMQUEUE_SPEC": json.dumps(SPEC), "STREAMQUEUE_REDIS_URL": shared_server.url}
    code, out, _ = await run(environment)
    assert code == 0 and f"{waiting} delayed tasks that came due" in out
    assert await redis.xlen(Queue.stream) == waiting and await redis.zcard("{orders}:delayed") == 1


async def test_a_pass_hands_results_on_to_another_server(
    redis: Redis, shared_server: RunningServer, own_server: RunningServer
) -> None:
    queue = Queue(redis)
    await queue.create()
    await redis.sadd(KEYS.outboxes, target_on_next_redis("paid"))
    await redis.xadd(KEYS.outbox(target_on_next_redis("paid")), {"of": "x", "sq-row": "row"})
    following = {"stream": "paid", "redis": {"secretRef": {"name": "results", "key": "url"}}}
    handler = {**SPEC["handler"], "protocol": "sdk"}  # type: ignore[dict-item]
    environment = {
        "STREAMQUEUE_SPEC": json.dumps(SPEC | {"handler": handler, "next": following}),
        "STREAMQUEUE_REDIS_URL": shared_server.url,
    }
    code, _, err = await run(environment)
    assert code == 2 and "STREAMQUEUE_NEXT_REDIS_URL is not set" in err
    for url in (f"redis://:s3cr3t@127.0.0.1:{free_port()}", "s3cr3t://"):
        code, out, err = await run({**environment, "STREAMQUEUE_NEXT_REDIS_URL": url})
        assert (code, err) == (0, "") and "results wait in the outbox for paid of next.redis" in out
        assert "s3cr3t" not in out
    code, out, err = await run({**environment, "STREAMQUEUE_NEXT_REDIS_URL": own_server.url})
    assert (code, err) == (0, "") and "1 results relayed" in out
    async with connect(own_server.url) as far:
        assert [fields for _, fields in await far.xrange("paid")] == [{b"of": b"x"}]


async def test_a_problem_is_one_line_without_the_password() -> None:
    url = f"redis://:s3cr3t@127.0.0.1:{free_port()}"
    code, out, err = await run({"STREAMQUEUE_SPEC": json.dumps(SPEC), "STREAMQUEUE_REDIS_URL": url})
    assert (code, out) == (1, "") and err.startswith("orders/workers: Unreachable: ") and err.count("\n") == 1
    assert "s3cr3t" not in err


async def test_a_bad_environment_is_one_line() -> None:
    good = {"STREAMQUEUE_SPEC": json.dumps(SPEC), "STREAMQUEUE_REDIS_URL": "redis://x"}
    for change, word in (
        ({"STREAMQUEUE_SPEC": ""}, "STREAMQUEUE_SPEC is not set"),
        ({"STREAMQUEUE_REDIS_URL": ""}, "STREAMQUEUE_REDIS_URL is not set"),
        ({"STREAMQUEUE_SPEC": "{"}, "no JSON"),
        ({"STREAMQUEUE_SPEC": "[]"}, "spec"),
        ({"STREAMQUEUE_SPEC": json.dumps(SPEC | {"stream": ""})}, "stream"),
    ):
        code, out, err = await run(good | change)
        assert (code, out) == (2, "") and word in err and err.count("\n") == 1, err

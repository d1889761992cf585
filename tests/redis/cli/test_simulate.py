"""A queue's scaling tried on what its own stream still holds."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from redis.asyncio import Redis

from streamqueue.api.keys import Keys
from streamqueue.maintenance import release
from streamqueue.simulate import history
from streamqueue.simulate.history import known_services, read_arrivals
from streamqueue.simulate.trace import TraceError
from tests.redis.cli.conftest import Cli
from tests.redis.queue import Queue, spec
from tests.redis.servers.process import RunningServer
from tests.redis.worker.pod import working

BEGAN = 1_750_000_000  # unix seconds

MANIFEST = """
kind: StreamQueue
metadata: {name: orders}
spec:
  redis: {url: "redis://redis:6379/0"}
  stream: orders
  group: workers
  handler: {image: "registry.example/orders:1"}
  scaling: {maxReplicas: 5, targetWait: 30s}
"""


async def fill(redis: Redis, count: int) -> None:
    """A task every half second, more of them than a page holds."""
    async with redis.pipeline(transaction=False) as pipe:
        for n in range(count):
            pipe.xadd("orders", {"n": str(n)}, id=f"{BEGAN * 1000 + n * 500}-0")
        await pipe.execute()


async def test_arrivals_are_the_times_in_the_ids(cli: Cli, queue: Queue, redis: Redis, tmp_path: Path) -> None:
    await fill(redis, 1500)
    manifest = tmp_path / "queue.yaml"
    manifest.write_text(MANIFEST)
    words = ("simulate", "-f", str(manifest), "--from-stream", "--service", "1s", "--only")
    printed = await cli(*words)
    assert "orders: 1,500 tasks in 0.21 h, 0.42 pod-hours of work" in printed
    (row,) = await cli.json(*words, "--since", f"{(BEGAN + 600) * 1000}-0")
    assert row["pod_hours"] < 0.2 and row["late"] <= 0.05
    assert await cli.bare(*words) == printed, "the manifest says which stream"
    assert await cli("simulate", *words[3:]) != printed, "the defaults are tried without a manifest"
    assert "--since: 'then' is no entry id" in await cli.refused(*words, "--since", "then", code=2)


@pytest.mark.on("redis-7.0")  # nothing of it is the server's
async def test_what_is_not_read_of_a_long_stream_is_said(
    cli: Cli, queue: Queue, redis: Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(redis, 2500)
    manifest = tmp_path / "queue.yaml"
    manifest.write_text(MANIFEST)
    words = ("simulate", "-f", str(manifest), "--from-stream", "--service", "1s", "--only")
    assert (await cli.call(*words)).err == ""
    monkeypatch.setattr(history, "MOST", 2000)
    called = await cli.call(*words)
    assert "orders: 2,000 tasks in" in called.out
    assert called.err == (
        "only the oldest 2,000 tasks of stream orders were read, up to 2025-06-15T15:23:19.500Z: --since begins later\n"
    )


async def test_a_retrys_copy_is_no_arrival(queue: Queue, redis: Redis) -> None:
    await queue.add(3)
    await queue.read("pod-1")
    assert (await release(redis, spec(), "pod-1", await queue.now() + 1, "Error")).returned == 3
    assert await redis.xlen("orders") == 6
    assert len(await read_arrivals(redis, "orders")) == 3


async def test_without_results_the_service_time_must_be_given(cli: Cli, queue: Queue, tmp_path: Path) -> None:
    await queue.add(2)
    assert "give --service" in await cli.refused("simulate", "--from-stream", code=2)


@pytest.mark.parametrize("made_up", ["17-1", "1790000000000000-0"], ids=["small", "microseconds"])
async def test_ids_that_are_no_times_are_refused(queue: Queue, redis: Redis, made_up: str) -> None:
    await redis.xadd("orders", {"a": "b"}, id=made_up)
    with pytest.raises(TraceError, match=f"{made_up} is no time"):
        await read_arrivals(redis, "orders")


async def test_a_time_that_a_producer_made_up_is_refused(queue: Queue, redis: Redis) -> None:
    """More digits than int() takes."""
    await redis.xadd("orders", {"sq-enqueued-at": "9" * 5000})
    with pytest.raises(TraceError, match="is no time"):
        await read_arrivals(redis, "orders")


async def test_a_stream_without_tasks_since_then_is_not_called_empty(queue: Queue, redis: Redis) -> None:
    with pytest.raises(TraceError, match="holds no entries"):
        await read_arrivals(redis, "orders")
    await fill(redis, 2)
    with pytest.raises(TraceError, match="holds no tasks from then on"):
        await read_arrivals(redis, "orders", f"{BEGAN * 1000 + 9000}-0")


async def test_results_tell_how_long_tasks_took(shared_server: RunningServer, queue: Queue, redis: Redis) -> None:
    keys = Keys("orders", "workers")
    ended = asyncio.Event()

    async def handle(task: dict[str, str], ctx: object) -> None:
        await asyncio.sleep(0.3 if task["task"] == "0" else 0.0)
        if task["task"] == "0":
            ended.set()

    ids = await queue.add(2)
    async with working(shared_server.url, handle, results_ttl=60, concurrency=2):
        await asyncio.wait_for(ended.wait(), 20)
    known = await known_services(redis, keys, ids)
    assert 0.29 <= known[ids[0]] < 2 and known[ids[1]] < known[ids[0]]


@pytest.mark.on("redis-7.0")  # nothing of it is the server's
async def test_results_are_looked_for_from_the_newest_on_until_there_are_none(
    queue: Queue, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "RESULTS_AT_ONCE", 2)
    keys, ids = Keys("orders", "workers"), [f"task-{n}" for n in range(7)]
    for n in (6, 5, 4, 0):
        await redis.hset(keys.results + ids[n], mapping={"state": "done", "started": 1000, "at": 1000 * n})
    await redis.hset(keys.results + ids[3], mapping={"state": "running", "started": 1000, "at": 9000})
    assert await known_services(redis, keys, ids) == {"task-6": 5.0, "task-5": 4.0, "task-4": 3.0}
    assert await known_services(redis, keys, ids[:1]) == {"task-0": 0.0}, "by clocks that differ"

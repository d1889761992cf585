"""Queues in a row on different nodes of a cluster: results go by way of the outboxes, and each arrives once."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from itertools import pairwise

import pytest
from redis.crc import key_slot

from streamqueue import Queue as Producer
from streamqueue import Worker
from streamqueue.streams import Snapshot, SnapshotRequest, connect, take_snapshots
from tests.redis.servers.cluster import PRIMARIES, SLOTS, RunningCluster

# Clusters differ by the server's generation, not by each version.
pytestmark = pytest.mark.on("redis-7.0", "valkey-9.1")

STREAMS = ("extract", "index-2", "embed", "vectors")
TASKS = 150
PATIENCE = 40.0


async def test_each_task_comes_out_once_on_another_node(cluster: RunningCluster) -> None:
    for node in cluster.nodes:
        await cluster.ask(node, "FLUSHALL", ignore=True)  # replicas refuse
    nodes = [key_slot(name.encode()) * PRIMARIES // SLOTS for name in STREAMS]
    assert all(here != there for here, there in pairwise(nodes)), nodes
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(connect(cluster.url))
        producer = await stack.enter_async_context(Producer(cluster.url, STREAMS[0]))
        for stream, following in pairwise(STREAMS):
            worker = Worker(redis_url=cluster.url, stream=stream, next_stream=following, concurrency=10)
            worker.task(hand_on)
            serving = asyncio.create_task(worker.serve())
            stack.push_async_callback(asyncio.wait_for, serving, PATIENCE)
            stack.callback(worker.stop)
        sent = await producer.send_many([{"n": n} for n in range(TASKS)])
        async with asyncio.timeout(PATIENCE):
            while await client.xlen(STREAMS[-1]) < TASKS:  # noqa: ASYNC110 - the event is on the server
                await asyncio.sleep(0.05)
    async with connect(cluster.url) as client:
        arrived = Counter(fields[b"sq-id"].decode() for _, fields in await client.xrange(STREAMS[-1]))
        assert arrived == Counter(task.id for task in sent)
        for answer in await take_snapshots(client, [SnapshotRequest(name, "workers") for name in STREAMS[:-1]]):
            assert isinstance(answer, Snapshot), answer
            assert (answer.undelivered, answer.pending, answer.outboxed) == (0, 0, 0)


async def hand_on(task: dict[str, str]) -> dict[str, str]:
    return {"n": task["n"]}

"""A server at maxmemory: what needs no memory is done."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis

from streamqueue.controller.kinds import PODS
from streamqueue.streams.enqueue import NewTask, enqueue
from tests.redis.controller.loops import POD, loop_over, queue_on, running, sample, store_of
from tests.redis.queue import Queue
from tests.redis.servers.process import RunningServer
from tests.redis.worker.pod import until
from tests.redis.worker.stores import store, take
from tests.unit.controller.bodies import container, pod

# What is asked of the server is to be full.
pytestmark = pytest.mark.on("redis-7.0", "valkey-9.1")


async def test_delayed_tasks_that_find_no_room_keep_none_of_a_dead_worker_back(own_server: RunningServer) -> None:
    async with Redis.from_url(own_server.url) as client:
        queue = Queue(client)
        await queue.create()
        await queue.add(1)
        await take(store(client, f"{POD}.a1"))
        await enqueue(client, queue.stream, [NewTask("late", [("n", "1")], delay=0.001)])
        known = store_of(queue_on(own_server, scaling={"pollingInterval": "200ms"}))
        ended = {"finishedAt": "2100-01-01T00:00:00Z", "exitCode": 137, "containerID": "c1"}
        known.show(PODS, pod(POD, containerStatuses=[container(state={"terminated": ended})]))
        await client.config_set("maxmemory", 1)
        async with loop_over(known) as loop, running(loop):
            await until(lambda: sample("reclaimed_total") == 1, "the dead worker's task is handed on")

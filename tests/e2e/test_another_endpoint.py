"""Two queues in a row on two Redis servers: results wait while the second is away, and each comes out once."""

from __future__ import annotations

import pytest

from tests.e2e.queue import ECHO, SDK_IMAGE, await_arrival, worker_command
from tests.e2e.world import World
from tests.kube.redis_server import RedisServer

pytestmark = pytest.mark.concurrent(long=True)


def test_results_wait_for_another_server_and_each_comes_out_once(world: World) -> None:
    server = RedisServer(world.kubectl, "redis-results", password="right-c41e", durable=True)
    server.create()
    client = server.wait()
    world.secret("results", url=server.url)
    there = {"secretRef": {"name": "results", "key": "url"}}
    first = world.queue(
        "beyond-a",
        handler={"image": SDK_IMAGE, "protocol": "sdk", "timeout": "5s"},
        next={"stream": "beyond-b", "redis": there},
        template=worker_command("-c", ECHO),
    ).apply()

    ids = first.add(10)
    await_arrival(world.view, client, "beyond-b", ids, 120)

    server.stop()
    ids += first.add(10)
    stuck = first.await_condition("ResultsStuck", "True", timeout=120)
    assert "beyond-b of next.redis" in stuck["message"]
    world.view.eventually(lambda: world.metric("results_stuck", first) == 1, 30, "the metric that the alert reads")
    world.view.eventually(lambda: first.status.get("lag") == first.status.get("pending") == 0, 60, "all acknowledged")
    assert first.condition("RedisReachable")["status"] == "True"
    server.start()
    client = server.wait()
    await_arrival(world.view, client, "beyond-b", ids, 120)
    world.view.eventually(lambda: not first.condition("ResultsStuck"), 60, "the warning is gone")
    assert world.metric("results_stuck", first) == 0

    rotated = server.rotate(client, "next-77f0")
    world.secret("results", url=rotated.url)
    client = rotated.wait()
    ids += first.add(10)
    await_arrival(world.view, client, "beyond-b", ids, 120)

    # Only now: what its loops lose hold of comes back as copies, into the stream that was counted.
    world.queue("beyond-b", server, client, redis=there).apply().await_results(ids, 120)
    world.assert_untold(("right-c41e", "next-77f0"), [first])

"""Redis goes away, or the stream does, while work is under way."""

from __future__ import annotations

import time

import pytest

from tests.e2e.queue import IMAGE
from tests.e2e.world import World
from tests.kube.redis_server import RedisServer

pytestmark = pytest.mark.concurrent

OUTAGE = 60.0  # seconds


@pytest.mark.concurrent(long=True)
def test_replicas_hold_while_redis_is_down_and_nothing_is_lost(world: World) -> None:
    server = RedisServer(world.kubectl, "redis-outage", durable=True)
    server.create()
    client = server.wait()
    queue = world.queue(
        "outage",
        server,
        client,
        delivery={"visibilityTimeout": "40s"},
        reclaim={"schedule": "* * * * *"},
        handler={"image": IMAGE, "timeout": "10s"},
    ).apply()
    ids = queue.add(60, seconds="1")
    queue.await_ready_pods(3)
    queue.await_busy_pod()

    server.stop()
    stopped = time.monotonic()
    queue.await_condition("RedisReachable", "False")
    assert queue.condition("ScalingActive")["reason"] == "Unknown"
    _wait_until(stopped + OUTAGE)
    held = {body["spec"]["replicas"] for when, body in world.view.seen("deployments", "outage") if when > stopped}
    assert held <= {3} and queue.replicas == 3
    assert not any(body["deleted"] for when, body in world.view.seen("deployments", "outage") if when > stopped)

    server.start()
    queue.client = server.wait()
    ids += queue.add(10)
    queue.await_condition("RedisReachable", "True")
    queue.await_results(ids, 240)
    queue.await_zero()
    assert queue.dead_letters() == []


def _wait_until(moment: float) -> None:
    """The outage is the input here: nothing is expected to happen meanwhile."""
    time.sleep(max(0.0, moment - time.monotonic()))


def test_a_stream_deleted_under_way_heals_with_an_event(world: World) -> None:
    queue = world.queue("vanished").apply()
    queue.await_results(queue.add(10, seconds="0.2"), 90)
    world.redis.delete("vanished")
    event = queue.await_event("GroupRecreated", 60)
    assert event["type"] == "Warning"
    queue.await_results(queue.add(10), 90)
    queue.await_condition("Ready", "True")
    queue.await_zero()

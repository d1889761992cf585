"""Two queues in a row on two Redis servers: results wait while the second is away, and each comes out once."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from tests.e2e.queue import QUEUE_LABEL
from tests.e2e.world import World
from tests.kube.redis_server import RedisServer

pytestmark = pytest.mark.concurrent(long=True)

SDK_IMAGE = "streamqueue/documents:dev"  # one of the examples' that has the SDK
PROGRAM = """
from streamqueue import Worker
worker = Worker()
@worker.task
def handle(task):
    return {"n": task["n"]}
worker.run()
"""


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
        template={"spec": {"containers": [{"name": "handler", "command": ["python3", "-c", PROGRAM]}]}},
    ).apply()
    second = world.queue("beyond-b", server, client, redis=there).apply()

    ids = first.add(10)
    _await_arrival(world, client, ids)

    server.stop()
    ids += first.add(10)
    stuck = first.await_condition("ResultsStuck", "True", timeout=120)
    assert "beyond-b of next.redis" in stuck["message"]
    world.view.eventually(lambda: world.metric("results_stuck", first) == 1, 30, "the metric that the alert reads")
    world.view.eventually(lambda: first.status.get("lag") == first.status.get("pending") == 0, 60, "all acknowledged")
    assert first.condition("RedisReachable")["status"] == "True"
    server.start()
    client = second.client = server.wait()
    _await_arrival(world, client, ids)
    world.view.eventually(lambda: not first.condition("ResultsStuck"), 60, "the warning is gone")
    assert world.metric("results_stuck", first) == 0

    rotated = replace(server, password="next-77f0")
    client.execute_command("ACL", "SETUSER", "default", "resetpass", f">{rotated.password}")
    client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    world.secret("results", url=rotated.url)
    client = second.client = rotated.wait()
    ids += first.add(10)
    _await_arrival(world, client, ids)

    second.await_results(ids, 120)
    ours = world.kubectl.get("deployments,cronjobs,jobs,pods", f"--selector={QUEUE_LABEL}=beyond-a")
    logs = world.kubectl("logs", f"--selector={QUEUE_LABEL}=beyond-a", check=False).stdout
    said = [json.dumps(ours), json.dumps(world.kubectl.get("streamqueues,events")), world.chart.log(), logs]
    for secret in ("right-c41e", "next-77f0"):
        assert not [number for number, text in enumerate(said) if secret in text], "a password is shown"


def _await_arrival(world: World, client: Any, ids: list[str]) -> None:
    world.view.eventually(lambda: client.xlen("beyond-b") >= len(ids), 120, f"{len(ids)} results on the other server")
    came = Counter(fields["sq-id"] for _, fields in client.xrange("beyond-b"))
    assert came == dict.fromkeys(ids, 1), "a result came twice, or never"

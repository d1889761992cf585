"""What a scale-down must not do: cut into a rollout, wait for a pod that never works, hide that a busy pod went."""

from __future__ import annotations

import json

import pytest

from tests.e2e.queue import FAULTS, IMAGE, Queue, worker_command
from tests.e2e.world import World

pytestmark = pytest.mark.concurrent

# The first pod to say so ends at once, each time it starts; the others are ordinary workers.
FIRST_IS_BAD = f"""
import os, redis, sys
me, client = os.environ["STREAMQUEUE_CONSUMER"], redis.Redis.from_url(os.environ["STREAMQUEUE_REDIS_URL"])
key = os.environ["STREAMQUEUE_STREAM"] + ":bad"
client.set(key, me, nx=True)
if client.get(key).decode() == me:
    sys.exit(1)
os.execv(sys.executable, ["python3", "{FAULTS}"])
"""


@pytest.mark.concurrent(long=True)
def test_no_scale_down_inside_a_rollout(world: World) -> None:
    scaling = {"maxReplicas": 2, "targetBacklog": 1, "scaleDown": {"delay": "2s"}}
    queue = world.queue("rolls", delivery={"visibilityTimeout": "30s"}, scaling=scaling).apply()
    tasks = queue.add(2, until="rolls:rolling")
    queue.await_ready_pods(2)
    _image(world, queue, "localhost:1/none:never")
    world.view.eventually(lambda: _rolling(queue), 60, "the rollout is under way")
    begun = len(world.view.seen("deployments", queue.name))
    queue.let_go("rolls:rolling")
    queue.await_results(tasks, 180)

    world.view.eventually(lambda: queue.status.get("reason") == "RollingOut", 60, "the status says why none goes")
    during = {body["spec"]["replicas"] for _, body in world.view.seen("deployments", queue.name)[begun:]}
    assert during <= {2}, "the count fell inside the rollout"

    _image(world, queue, IMAGE)
    queue.await_zero()


def test_a_pod_that_never_works_keeps_no_other(world: World) -> None:
    scaling = {"maxReplicas": 3, "targetBacklog": 2, "scaleDown": {"delay": "2s"}}
    template = {"spec": {"containers": [{"name": "handler", "command": ["python3", "-c", FIRST_IS_BAD]}]}}
    queue = world.queue("onebad", scaling=scaling, template=template).apply()
    tasks = queue.add(6, seconds="3")
    queue.await_condition("PodsFailing", "True", "CrashLoop")
    bad = queue.client.get("onebad:bad")
    queue.await_results(tasks, 90)
    queue.await_zero(60)
    assert bad not in {row["worker"] for row in queue.starts()}


def test_a_busy_pod_that_was_told_to_go_finishes_and_is_counted(world: World) -> None:
    scaling = {"minReplicas": 1, "maxReplicas": 1}
    queue = world.queue("victim", handler={"image": IMAGE, "timeout": "30s"}, delivery={}, scaling=scaling).apply()
    queue.await_ready_pods(1)
    assert world.metric("busy_pods_terminated_total", queue) == 0
    [task] = queue.add(1, seconds="8")
    victim = queue.await_busy_pod()
    world.kubectl("delete", "pod", victim, "--wait=false")
    world.view.eventually(lambda: world.metric("busy_pods_terminated_total", queue) == 1, 30, "the metric counts it")
    queue.await_results([task], 60)
    assert [row["worker"] for row in queue.starts()] == [victim], "the task was begun again elsewhere"
    assert [row["worker"] for row in queue.results()] == [victim]


def _image(world: World, queue: Queue, image: str) -> None:
    patch = json.dumps({"spec": {"handler": {"image": image}, "template": worker_command(FAULTS)}})
    world.kubectl("patch", "streamqueue", queue.name, "--type=merge", f"--patch={patch}")


def _rolling(queue: Queue) -> bool:
    status = (queue.deployment or {}).get("status", {})
    return bool(status.get("updatedReplicas", 0) < status.get("replicas", 0))

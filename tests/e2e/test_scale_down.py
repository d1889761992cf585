"""What a scale-down must not do: cut into a rollout, wait for a pod that never works, hide that a busy pod went."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from tests.e2e.queue import FAULTS, IMAGE, SDK_IMAGE, Queue, worker_command
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

# Tasks last until the test lets them go.
LASTING = """
import asyncio, os
from redis.asyncio import Redis
from streamqueue import Worker
worker = Worker()
client = Redis.from_url(os.environ["STREAMQUEUE_REDIS_URL"])
@worker.task
async def handle(task):
    while not await client.exists(task["until"]):
        await asyncio.sleep(0.2)
worker.run()
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


def test_a_fleet_of_many_slots_shrinks_while_it_works(world: World) -> None:
    """Pods with free slots are never idle by themselves: those that are too many take no more."""
    scaling = {"minReplicas": 3, "maxReplicas": 3, "targetBacklog": 20, "scaleDown": {"delay": "0s"}}
    handler = {"image": SDK_IMAGE, "protocol": "sdk", "timeout": "2m", "concurrency": 20}
    template = worker_command("-c", LASTING)
    queue = world.queue("slots", handler=handler, scaling=scaling, template=template, delivery={}).apply()
    queue.await_ready_pods(3)
    world.view.eventually(lambda: len(_readers(queue)) == 3, 60, "all pods read")
    added = 0
    while len(+_in_hand(queue)) < 3:  # one at a time, each to the next of the pods that wait
        assert added < 10, "a pod takes nothing"
        queue.add(1, until="slots:first")
        added += 1
        world.view.eventually(lambda added=added: _in_hand(queue).total() == added, 30, "it is taken")

    patch = json.dumps({"spec": {"scaling": {"minReplicas": 0}}})
    world.kubectl("patch", "streamqueue", queue.name, "--type=merge", f"--patch={patch}")
    world.view.eventually(lambda: queue.status.get("reason") == "Draining", 60, "two pods take no more")
    told = list(queue.client.smembers(f"{{{queue.stream}}}:g:{queue.group}:cordon"))
    assert len(told) == 2
    calm: list[bool] = []  # between two reads a worker looks as if it had heard
    world.view.eventually(
        lambda: calm.append(_readers(queue).isdisjoint(told)) or (len(calm) > 3 and all(calm[-3:])),
        30,
        "they read no more",
    )
    queue.add(6, until="slots:second")
    [staying] = {pod["metadata"]["name"] for pod in queue.pods()} - set(told)
    world.view.eventually(lambda: _in_hand(queue).total() == added + 6, 30, "all that came is taken")
    assert _in_hand(queue)[staying] >= 7, "one that was told took more"
    queue.let_go("slots:first")
    world.view.eventually(lambda: len(queue.pods()) == 1, 60, "those that are done are gone, with work going on")
    assert [pod["metadata"]["name"] for pod in queue.pods()] == [staying]
    assert _in_hand(queue) == {staying: 6}
    queue.let_go("slots:second")
    queue.await_zero()
    assert world.metric("busy_pods_terminated_total", queue) == 0


def _in_hand(queue: Queue) -> Counter[str]:
    """Tasks by pod, of all that read."""
    consumers = queue.client.xinfo_consumers(queue.stream, queue.group)
    return Counter({each["name"].rpartition(".")[0]: each["pending"] for each in consumers})


def _readers(queue: Queue) -> set[str]:
    """The pods that wait for new entries, blocked: a connection that was last used to read shows so still."""
    waiting = [each for each in queue.client.client_list() if each["cmd"] == "xreadgroup" and "b" in each["flags"]]
    addresses = {each["addr"].rpartition(":")[0] for each in waiting}
    return {pod["metadata"]["name"] for pod in queue.pods() if pod["status"].get("podIP") in addresses}


def _image(world: World, queue: Queue, image: str) -> None:
    patch = json.dumps({"spec": {"handler": {"image": image}, "template": worker_command(FAULTS)}})
    world.kubectl("patch", "streamqueue", queue.name, "--type=merge", f"--patch={patch}")


def _rolling(queue: Queue) -> bool:
    status = (queue.deployment or {}).get("status", {})
    return bool(status.get("updatedReplicas", 0) < status.get("replicas", 0))

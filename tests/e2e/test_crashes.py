"""A handler's process ends, or is ended: the controller sees the container and hands its work on at once."""

from __future__ import annotations

import json

import pytest

from tests.e2e.queue import FAULTS, worker_command
from tests.e2e.world import World

pytestmark = pytest.mark.concurrent

SECONDS = 30  # the kubelet restarts a container at once, the first time; no lease, grace or schedule is that short


# By code: a busy container runtime now and then calls it an Error when the kernel has killed for memory.
@pytest.mark.parametrize(("fault", "code"), [("exit", 3), ("oom", 137)])
def test_a_dead_process_has_its_work_done_within_seconds(world: World, fault: str, code: int) -> None:
    queue = world.queue(
        fault,
        # No other net is near: the visibility timeout is minutes, the CronJob suspended.
        delivery={"visibilityTimeout": "10m"},
        reclaim={"suspend": True},
        scaling={"minReplicas": 1, "maxReplicas": 1},
        template=worker_command(FAULTS, resources={"limits": {"memory": "64Mi"}}),
    ).apply()
    [pod] = queue.await_ready_pods(1)
    [task] = queue.add(1, fault=fault)
    queue.await_results([task], 120)

    name = pod["metadata"]["name"]
    [ended] = [
        status["lastState"]["terminated"]
        for _, body in world.view.seen("pods", name)
        for status in body["status"].get("containerStatuses", [])
        if "terminated" in status.get("lastState", {})
    ][:1]
    assert ended["exitCode"] == code
    assert [each["metadata"]["name"] for each in queue.pods()] == [name], "the pod lives on"
    assert [row["task"] for row in queue.starts()] == [task, task]
    first, second = (int(entry.split("-")[0]) / 1000 for entry, _ in queue.client.xrange(f"{{{fault}}}:starts"))
    world.note(f"{ended['reason']}: first start of the task -> its second start: {second - first:.1f} s")
    assert second - first < SECONDS


def test_an_evicted_workers_task_pays_nothing(world: World) -> None:
    queue = world.queue(
        "evicted",
        delivery={"visibilityTimeout": "10m", "maxDeliveries": 1},
        reclaim={"suspend": True},
        scaling={"minReplicas": 1, "maxReplicas": 1},
        template=worker_command(FAULTS),
    ).apply()
    queue.await_ready_pods(1)
    [task] = queue.add(1, until="let-go")
    pod = queue.await_busy_pod()
    eviction = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": pod, "namespace": world.kubectl.namespace},
        "deleteOptions": {"gracePeriodSeconds": 1},  # too short for it to end
    }
    path = f"/api/v1/namespaces/{world.kubectl.namespace}/pods/{pod}/eviction"
    world.kubectl("create", "--raw", path, "--filename=-", input=json.dumps(eviction))
    world.view.eventually(lambda: len(queue.starts()) == 2, SECONDS, "the task is begun anew")
    queue.let_go("let-go")
    queue.await_results([task], SECONDS)
    assert queue.dead_letters() == []

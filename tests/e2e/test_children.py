"""What belongs to a queue is kept as it should be: objects heal, pods carry their protection while they work."""

from __future__ import annotations

import json

import pytest

from tests.e2e.queue import IMAGE
from tests.e2e.world import World

pytestmark = pytest.mark.concurrent

PROTECTION = {"cluster-autoscaler.kubernetes.io/safe-to-evict": "false", "karpenter.sh/do-not-disrupt": "true"}


def test_deleted_and_edited_objects_heal(world: World) -> None:
    queue = world.queue("heals", scaling={"minReplicas": 1, "maxReplicas": 1}).apply()
    queue.await_ready_pods(1)
    world.kubectl("scale", "deployment/heals", "--replicas=3")
    world.view.eventually(lambda: queue.peak() == 3 and queue.replicas == 1, 90, "the hand-made count is undone")
    assert "from 1 to 3" in queue.await_event("ReplicasOverwritten")["message"]
    image = {"spec": {"template": {"spec": {"containers": [{"name": "handler", "image": "localhost:1/other"}]}}}}
    world.kubectl("patch", "deployment", "heals", f"--patch={json.dumps(image)}")
    world.view.eventually(lambda: _image(world, "heals") == IMAGE, 30, "the hand-made image is undone")

    world.kubectl("patch", "serviceaccount", "heals", '--patch={"automountServiceAccountToken": true}')

    def mounted() -> list[bool]:
        """At each of its states so far."""
        seen = world.view.seen("serviceaccounts", "heals")
        return [bool(body.get("automountServiceAccountToken")) for _, body in seen]

    world.view.eventually(lambda: any(mounted()) and not mounted()[-1], 30, "the hand-made mount of tokens is undone")

    for kind, name in (("deployments", "heals"), ("cronjobs", "heals-reclaim"), ("poddisruptionbudgets", "heals")):
        _delete_and_see_it_again(world, kind, name)
    queue.await_results(queue.add(3), 90)


def _image(world: World, name: str) -> str:
    body = world.view.get("deployments", name) or {}
    return str(body["spec"]["template"]["spec"]["containers"][0]["image"])


def _delete_and_see_it_again(world: World, kind: str, name: str) -> None:
    def uid() -> str | None:
        body = world.view.get(kind, name)
        return str(body["metadata"]["uid"]) if body else None

    old = uid()
    world.kubectl("delete", kind, name)
    world.view.eventually(lambda: uid() not in (None, old), 30, f"{kind}/{name} is there again")


def test_a_busy_pod_outlives_a_scale_down(world: World) -> None:
    queue = world.queue(
        "busy",
        handler={"image": IMAGE, "timeout": "80s"},
        delivery={},
        scaling={"maxReplicas": 3, "targetBacklog": 1, "scaleDown": {"delay": "2s"}},
    ).apply()
    queue.await_condition("Ready", "True")
    [long] = queue.add(1, until="busy:seen")
    worker = queue.await_busy_pod(90)
    short = queue.add(12, seconds="1")
    queue.await_ready_pods(3)
    queue.await_results(short, 90)
    world.view.eventually(lambda: queue.replicas == 1 and len(queue.pods()) == 1, 40, "the idle pods are gone")
    assert [pod["metadata"]["name"] for pod in queue.ready_pods()] == [worker]
    assert queue.pending() == 1
    queue.let_go("busy:seen")
    queue.await_results([long], 60)
    assert [row["worker"] for row in queue.starts() if row["task"] == long] == [worker]


@pytest.mark.concurrent(long=True)
def test_a_busy_pod_that_is_looked_into_keeps_its_task(world: World) -> None:
    """Without a label it is out of the ReplicaSet's hands, and of our watch's sight, as if it was deleted."""
    queue = world.queue("looked-into", delivery={"visibilityTimeout": "5m"}).apply()
    queue.await_condition("Ready", "True")
    tasks = queue.add(1, until="looked-into:seen")
    worker = queue.await_busy_pod(90)
    world.kubectl("label", "pod", worker, "app.kubernetes.io/component-")
    try:
        world.view.eventually(
            lambda: f"{worker} lives" in world.chart.log(), 90, "its grace is over, and it was asked for"
        )
        assert [row["worker"] for row in queue.starts()] == [worker] and queue.pending() == 1
        queue.let_go("looked-into:seen")
        queue.await_results(tasks, 30)
    finally:
        world.kubectl("delete", "pod", worker, "--wait=false")


def test_the_busy_pods_that_a_deployment_left_are_the_next_ones(world: World) -> None:
    handler, scaling = {"image": IMAGE, "timeout": "80s"}, {"maxReplicas": 2, "targetBacklog": 1}
    queue = world.queue("left-behind", handler=handler, delivery={}, scaling=scaling).apply()
    queue.await_condition("Ready", "True")
    tasks = queue.add(2, until="left-behind:seen")
    world.view.eventually(lambda: queue.pending() == 2, 90, "both are at work")
    queue.spec["scaling"] = scaling | {"paused": True}
    queue.apply().await_condition("ScalingActive", "False", "Paused")
    left, before = {pod["metadata"]["name"] for pod in queue.pods()}, queue.deployment or {}
    world.kubectl("delete", "deployment", queue.name, "--cascade=orphan")

    def taken_over() -> bool:
        now = queue.deployment
        return bool(now and now["metadata"]["uid"] != before["metadata"]["uid"] and now["status"].get("replicas"))

    world.view.eventually(taken_over, 60, "another Deployment has them")
    assert {pod["metadata"]["name"] for pod in queue.ready_pods()} == left
    queue.let_go("left-behind:seen")
    queue.await_results(tasks, 60)
    assert len(queue.starts()) == 2
    queue.delete()


@pytest.mark.concurrent(long=True)
def test_a_pods_protection_comes_off_while_it_idles_and_returns_with_work(world: World) -> None:
    queue = world.queue("marks", scaling={"minReplicas": 1, "maxReplicas": 1}).apply()

    def annotations() -> dict[str, str]:
        found = queue.pods()
        return dict(found[0]["metadata"].get("annotations", {})) if found else {}

    world.view.eventually(annotations, 60, "a pod exists")
    assert PROTECTION.items() <= annotations().items(), "pods are born protected"
    queue.await_ready_pods(1)
    world.view.eventually(lambda: not PROTECTION.keys() & annotations().keys(), 90, "an idle pod is not protected")
    tasks = queue.add(1, until="marks:seen")
    world.view.eventually(lambda: PROTECTION.items() <= annotations().items(), 10, "a busy pod is protected")
    assert queue.pending() == 1
    queue.let_go("marks:seen")
    queue.await_results(tasks, 30)

"""A queue's ordinary life: from zero and back, a killed pod, a poisoned task, a pinned count, the end."""

from __future__ import annotations

import json
import time

import pytest

from tests.e2e.queue import IMAGE
from tests.e2e.world import World

pytestmark = pytest.mark.concurrent


def test_from_zero_to_many_and_back_each_task_done_once(world: World) -> None:
    queue = world.queue("life", scaling={"maxReplicas": 4, "targetBacklog": 5, "scaleDown": {"delay": "5s"}}).apply()
    queue.await_condition("Ready", "True")
    assert (queue.replicas, queue.pods()) == (0, [])

    added = time.monotonic()
    ids = queue.add(80, seconds="0.5")
    queue.await_ready_pods(1)
    world.note(f"first task added -> first pod ready: {time.monotonic() - added:.1f} s (beside all other tests)")
    queue.await_results(ids, 120)
    queue.await_zero()

    assert sorted(row["task"] for row in queue.results()) == sorted(ids)
    assert queue.peak() == 4
    assert queue.pending() == 0
    row = world.kubectl("get", "streamqueue", "life").stdout.splitlines()
    assert row[0].split() == ["NAME", "READY", "LAG", "PENDING", "OLDEST", "DLQ", "REPLICAS", "REASON", "AGE"]


@pytest.mark.concurrent(long=True)
def test_a_killed_pods_tasks_finish(world: World) -> None:
    scaling = {"maxReplicas": 2, "targetBacklog": 2, "scaleDown": {"delay": "5s"}}
    queue = world.queue(
        "killed",
        handler={"image": IMAGE, "timeout": "1s"},  # the grace follows from it: 31 s
        delivery={"visibilityTimeout": "10m"},
        reclaim={"suspend": True},
        scaling=scaling,
    ).apply()
    queue.await_condition("Ready", "True")
    [stuck] = queue.add(1, fault="hang")
    victim = queue.await_busy_pod(90)
    others = queue.add(6)

    world.kubectl("delete", "pod", victim, "--grace-period=0", "--force")
    killed = time.monotonic()
    queue.await_results([stuck, *others], 120)

    world.note(f"pod killed by force -> its hung task done elsewhere: {time.monotonic() - killed:.1f} s")
    assert queue.dead_letters() == []
    assert [row["worker"] == victim for row in queue.results() if row["task"] == stuck] == [False]


def test_a_poisoned_task_ends_among_the_dead_letters_with_its_reason(world: World) -> None:
    delivery = {"visibilityTimeout": "10s", "maxDeliveries": 2}
    scaling = {"maxReplicas": 1, "targetBacklog": 5}
    queue = world.queue("poison", delivery=delivery, scaling=scaling).apply()
    [poison] = queue.add(1, fault="raise", order="4711")
    good: list[str] = []

    def dead() -> bool:
        good.extend(queue.add())  # the loop reads on, which shows that it gave the failed one up
        return bool(queue.dead_letters())

    world.view.eventually(dead, 150, "the poisoned task is a dead letter")
    queue.await_results(good, 60)
    [letter] = queue.dead_letters()
    assert (letter["sq-id"], letter["sq-reason"], letter["sq-attempt"]) == (poison, "max-deliveries", "2")
    assert (letter["order"], letter["fault"]) == ("4711", "raise")
    assert [row["task"] for row in queue.starts()].count(poison) == 2
    queue.await_condition("DeadLetters", "True")
    queue.await_event("DeadLettered")
    world.view.eventually(lambda: queue.status.get("deadLetters") == 1, 30, "the status counts it")
    queue.delete()


def test_a_pinned_count_holds_until_the_pin_is_removed(world: World) -> None:
    queue = world.queue("pinned").apply()
    queue.await_condition("Ready", "True")
    _patch(world, "pinned", '{"spec": {"scaling": {"replicas": 1}}}')
    queue.await_ready_pods(1)
    queue.await_condition("Pinned", "True")
    world.kubectl("scale", "streamqueue/pinned", "--replicas=2")
    queue.await_ready_pods(2)
    path = f"/apis/streamqueue.dev/v1alpha1/namespaces/{world.kubectl.namespace}/streamqueues/pinned/scale"
    scale = json.loads(world.kubectl("get", "--raw", path).stdout)
    assert (scale["spec"]["replicas"], scale["status"]["selector"] != "") == (2, True)
    _patch(world, "pinned", '{"spec": {"scaling": {"replicas": null}}}')
    queue.await_zero()
    assert queue.condition("Pinned") == {}


def test_a_deleted_queue_leaves_nothing_behind(world: World) -> None:
    queue = world.queue("deleted", scaling={"minReplicas": 2, "maxReplicas": 2}).apply()
    queue.await_ready_pods(2)
    assert {each.partition("/")[0] for each in queue.belongings()} == {
        "deployments", "cronjobs", "serviceaccounts", "poddisruptionbudgets", "pods",
    }  # fmt: skip
    queue.delete()
    world.view.eventually(lambda: not queue.belongings(), 90, "all that belonged to the queue is gone")
    assert world.redis.exists("deleted"), "the stream is the user's"


def _patch(world: World, name: str, patch: str) -> None:
    world.kubectl("patch", "streamqueue", name, "--type=merge", f"--patch={patch}")

"""Others on the same stream, or of the same name."""

from __future__ import annotations

from typing import Any

import pytest

from tests.e2e.queue import IMAGE
from tests.e2e.world import World

pytestmark = pytest.mark.concurrent


def test_two_groups_on_one_stream_dont_disturb_each_other(world: World) -> None:
    one = world.queue("twins-one", stream="twins", group="one").apply()
    two = world.queue("twins-two", stream="twins", group="two").apply()
    one.await_condition("Ready", "True")
    two.await_condition("Ready", "True")
    ids = one.add(30)
    for queue in (one, two):
        queue.await_results(ids, 120)
        assert sorted(row["task"] for row in queue.results()) == sorted(ids)
        assert {row["group"] for row in queue.results()} == {queue.group}
    one.await_zero()
    two.await_zero()


def test_another_teams_group_keeps_its_entries_and_sees_no_copy_of_ours(world: World) -> None:
    queue = world.queue(
        "shared",
        handler={"image": IMAGE, "timeout": "1s"},
        delivery={"visibilityTimeout": "2s"},
        reclaim={"suspend": True},
        retention={"policy": "acknowledged", "maxLength": 1},
        scaling={"minReplicas": 1, "maxReplicas": 1},
    )
    world.redis.xgroup_create("shared", "billing", id="0", mkstream=True)
    queue.apply()
    queue.await_ready_pods(1)
    ids = queue.add(10)
    [crashing] = queue.add(1, fault="exit")
    ids += [crashing, *queue.add(10)]
    queue.await_results([task for task in ids if task != crashing], 90)
    theirs = _read(world, 5)
    world.redis.xack("shared", "billing", *[entry for entry, _ in theirs[:2]])

    queue.reclaim()  # the first pass on a server only learns its clock
    queue.await_condition("RequeueNeedsWorker", "True")
    queue.reclaim()
    queue.await_condition("TrimBlocked", "True")
    kept = [entry for entry, _ in world.redis.xrange("shared")]
    assert kept == ids[2:], "what billing still needs is there, and no copy"

    theirs += _read(world, 100)
    assert [entry for entry, _ in theirs] == ids
    assert all("sq-id" not in task for _, task in theirs)
    world.redis.xgroup_destroy("shared", "billing")
    queue.reclaim()
    queue.await_results([crashing], 60)
    queue.reclaim()
    assert world.redis.xlen("shared") == 1


def _read(world: World, count: int) -> Any:
    [[_, entries]] = world.redis.xreadgroup("billing", "them", {"shared": ">"}, count=count)
    return entries


def test_somebody_elses_deployment_of_the_same_name_is_left_alone(world: World) -> None:
    labels = {"app": "theirs"}
    container = {"name": "theirs", "image": IMAGE, "command": ["sleep", "3600"]}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container], "terminationGracePeriodSeconds": 0}}
    spec = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}
    world.kubectl.apply({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "taken"}, "spec": spec})
    world.kubectl("rollout", "status", "deployment/taken", "--timeout=90s")
    before = world.kubectl.get("deployment", "taken")

    queue = world.queue("taken").apply()
    queue.await_condition("Ready", "False", "NameConflict")
    queue.await_event("NameConflict")
    queue.add(20)
    world.view.eventually(lambda: queue.status.get("lag") == 20, 30, "the queue is read all the same")
    assert _without_status(world.kubectl.get("deployment", "taken")) == _without_status(before)

    queue.delete()
    world.view.eventually(lambda: not queue.belongings(), 60, "all that belonged to the queue is gone")
    assert _without_status(world.kubectl.get("deployment", "taken")) == _without_status(before)


def _without_status(body: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name != "status"}


def test_the_second_queue_on_a_stream_and_group_is_refused(world: World) -> None:
    first = world.queue("first", stream="once").apply()
    first.await_condition("Ready", "True")
    second = world.queue("second", stream="once").apply()
    second.await_condition("Accepted", "False", "Duplicate")
    assert second.belongings() == []
    first.delete()
    second.await_condition("Accepted", "True")
    second.await_results(second.add(3), 90)

"""The operator is upgraded, rolled back, removed and installed under load: workers don't notice. These run alone."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.cluster import previous
from tests.e2e.producer import producing
from tests.e2e.queue import Queue
from tests.e2e.world import World

RATE = 10  # tasks a second
TASKS = 10  # that must come and be done before the next step
FLEET = 3
LIMIT = 60.0  # seconds from `helm install` to the first task done

FIXED = {"minReplicas": FLEET, "maxReplicas": FLEET, "targetBacklog": 1}
OLDER = "image.tag=previous"


@pytest.fixture(scope="module")
def queue(world: World) -> Queue:
    """With a fleet that the operator of an older release has made, which runs."""
    switch(world, lambda: world.chart.upgrade(previous.release().chart, OLDER), older=True)
    queue = world.queue("moved", scaling=FIXED).apply()
    queue.await_ready_pods(FLEET)
    # The Deployment counts its ready pods a moment after they are.
    world.view.eventually(lambda: (queue.deployment or {})["status"].get("readyReplicas") == FLEET, 30, "all counted")
    return queue


def test_an_upgrade_and_a_rollback_under_load(world: World, queue: Queue) -> None:
    fleet, done = pods_of(queue), len(queue.results())
    began = time.monotonic()
    with producing(queue, RATE, seconds="0.2") as ids:
        await_progress(queue, ids)
        for step, older in ((world.chart.upgrade, False), (world.chart.roll_back, True), (world.chart.upgrade, False)):
            switch(world, step, older=older)
            await_progress(queue, ids)
    queue.await_results(ids, 60)

    assert sorted(row["task"] for row in queue.results()[done:]) == sorted(ids)
    assert pods_of(queue) == fleet
    seen = [body for when, body in world.view.seen("deployments", queue.name) if when > began]
    assert {body["spec"]["replicas"] for body in seen} <= {FLEET}
    assert {body["status"].get("readyReplicas") for body in seen} <= {FLEET}
    assert {body["metadata"]["generation"] for body in seen} <= {1}
    world.note(
        f"upgrade from {previous.release().name}, rollback, upgrade: {len(ids)} tasks meanwhile, "
        f"none lost or done twice, no pod of {FLEET} replaced"
    )


def test_an_uninstall_under_load_leaves_workers_and_an_install_serves_within_a_minute(
    world: World, queue: Queue
) -> None:
    fleet, done = pods_of(queue), len(queue.results())
    with producing(queue, RATE, seconds="0.2") as ids:
        world.strangers |= world.chart.pods()  # their roles may go before them
        said = world.chart.uninstall()
        assert "kept due to the resource policy" in said and "streamqueues.streamqueue.dev" in said
        await_progress(queue, ids)
        assert world.kubectl.get("streamqueue", queue.name)["spec"]["stream"] == queue.stream

        began = time.monotonic()
        world.chart.upgrade()
        first = world.queue("first").apply()
        first.await_results(first.add(1), LIMIT)
        took = time.monotonic() - began
        await_progress(queue, ids)
    queue.await_results(ids, 60)

    world.note(f"helm install -> first scaled worker done with its task: {took:.1f} s")
    assert took <= LIMIT
    assert sorted(row["task"] for row in queue.results()[done:]) == sorted(ids)
    assert pods_of(queue) == fleet


def pods_of(queue: Queue) -> set[str]:
    """The uids of its ready pods."""
    return {pod["metadata"]["uid"] for pod in queue.ready_pods()}


def switch(world: World, step: Callable[[], None], *, older: bool) -> None:
    """Take the step and return when a pod of its release leads and none of the other's is left."""
    before = world.chart.pods()
    step()
    world.chart.wait()
    world.view.eventually(lambda: not before & world.chart.pods(), 60, "the pods from before are gone")
    if older:
        world.strangers |= world.chart.pods()
    world.view.eventually(lambda: leader(world) in world.chart.pods(), 30, "a pod of this release leads")


def leader(world: World) -> str:
    """The name of the pod that holds the Lease."""
    (lease,) = world.chart.operator.get("leases")["items"]
    return str(lease["spec"].get("holderIdentity", "")).partition("_")[0]


def await_progress(queue: Queue, ids: list[str]) -> None:
    """Return when so many more tasks have come, and the last of them is done."""
    enough = len(ids) + TASKS
    queue.view.eventually(lambda: len(ids) >= enough, 60, f"{TASKS} more tasks")
    queue.await_results(ids[enough - TASKS : enough], 60)

"""`kubectl drain` of a node full of busy workers: nothing is lost, nothing is killed, half of the fleet stays."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from tests.cluster.settings import NODE_CONTAINER
from tests.e2e.queue import IMAGE, QUEUE_LABEL, Queue
from tests.e2e.world import World

WORKERS = 4


@pytest.fixture
def node(world: World) -> Iterator[str]:
    """The cluster's one node, which takes pods again afterwards whatever happens."""
    yield NODE_CONTAINER
    world.kubectl("uncordon", NODE_CONTAINER)


def test_a_drained_node_finishes_what_it_has_begun(world: World, node: str) -> None:
    queue = world.queue(
        "drained",
        handler={"image": IMAGE, "timeout": "30s"},
        delivery={"visibilityTimeout": "10m"},
        reclaim={"suspend": True},
        scaling={"minReplicas": WORKERS, "maxReplicas": WORKERS},
    ).apply()
    before = {pod["metadata"]["name"] for pod in queue.await_ready_pods(WORKERS)}
    tasks = queue.add(16, seconds="2")
    world.view.eventually(lambda: queue.pending() >= WORKERS, 60, "every worker has a task")

    with _drain(world, node) as drain:
        world.view.eventually(lambda: _leaving(queue, before), 60, "the first of them were told to go")
        seen_leaving = _leaving(queue, before)
        world.kubectl("uncordon", node)  # plays the other node that the replacements need
        world.view.eventually(lambda: not _alive(queue, before), 180, "none of the drained pods is left")
        assert drain.wait(30) == 0, drain.stderr.read() if drain.stderr else ""

    queue.await_results(tasks, 120)
    assert len(seen_leaving) <= WORKERS // 2, "the disruption budget let more than half go at once"
    assert sorted(row["task"] for row in queue.results()) == sorted(tasks)
    assert len(queue.starts()) == len(tasks), "a task was begun twice: its worker was killed with it"
    assert queue.dead_letters() == []
    assert _exit_codes(world, before) <= {0}
    queue.delete()


def _drain(world: World, node: str) -> subprocess.Popen[str]:
    """kubectl drain, of this queue's pods: the node carries the cluster too."""
    options = ["--ignore-daemonsets", f"--pod-selector={QUEUE_LABEL}=drained", "--timeout=180s"]
    command = [world.kubectl.program, "drain", node, *options]
    return subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=world.kubectl.environment
    )


def _leaving(queue: Queue, names: set[str]) -> set[str]:
    pods = queue.pods()
    alive = {pod["metadata"]["name"] for pod in pods if "deletionTimestamp" not in pod["metadata"]}
    return names - alive


def _alive(queue: Queue, names: set[str]) -> set[str]:
    return names & {pod["metadata"]["name"] for pod in queue.pods()}


def _exit_codes(world: World, names: set[str]) -> set[int]:
    """Of every container of these pods that the watch saw end."""
    return {
        status["state"]["terminated"]["exitCode"]
        for name in names
        for _, pod in world.view.seen("pods", name)
        for status in pod.get("status", {}).get("containerStatuses", [])
        if "terminated" in status["state"]
    }

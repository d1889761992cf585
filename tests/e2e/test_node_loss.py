"""A node dies without a word, with the operator, workers and a run of the reclaim CronJob on it."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.cluster.settings import WORKERS
from tests.e2e.cli import Cli
from tests.e2e.queue import IMAGE, QUEUE_LABEL, Queue
from tests.e2e.world import World
from tests.kube.view import is_ready

pytestmark = [pytest.mark.several, pytest.mark.timeout(600)]

FLEET = 4


def test_what_ran_on_a_node_that_is_lost_runs_elsewhere(world: World) -> None:
    stays = world.kubectl.get("pods", "--selector=app=redis")["items"][0]["spec"]["nodeName"]
    (dies,) = {*WORKERS} - {stays}
    with _cordoned(world, stays):
        world.chart.restart()
    queue = world.queue(
        "node-loss",
        handler={"image": IMAGE, "timeout": "10s"},
        delivery={"visibilityTimeout": "20s"},
        reclaim={"schedule": "* * * * *"},
        scaling={"minReplicas": FLEET, "maxReplicas": FLEET},
    ).apply()
    queue.await_ready_pods(FLEET)
    assert _ready_on(queue, dies), "the scheduler spreads them"
    tasks = queue.add(100, seconds="2")

    with _cordoned(world, stays):
        run = world.view.eventually(lambda: _reclaim_on(queue, dies), 90, "a run of the CronJob")
        _docker("pause", dies)
        lost = time.monotonic()
    try:
        _note(world, lost, "another pod leads", lambda: _leader(world) in _operators_on(world, stays))
        _note(world, lost, "its workers are replaced", lambda: len(_ready_on(queue, stays)) == FLEET)
        _note(world, lost, "the CronJob goes on", lambda: _later_runs(queue, run))
        queue.await_results(tasks, 300)
        assert dies in Cli(world).findings(queue)["lost-pods"]["cause"]
    finally:
        _docker("unpause", dies)
    world.view.eventually(lambda: not _pods_on(queue, dies), 120, "it is back, and its pods have ended")
    assert queue.dead_letters() == [] and len(queue.ready_pods()) == FLEET
    queue.delete()


@contextmanager
def _cordoned(world: World, node: str) -> Iterator[None]:
    """Meanwhile new pods go to the other node."""
    world.kubectl("cordon", node)
    try:
        yield
    finally:
        world.kubectl("uncordon", node)


def _docker(*words: str) -> None:
    subprocess.run(["docker", *words], check=True, capture_output=True)


def _note(world: World, lost: float, what: str, holds: Callable[[], object]) -> None:
    world.view.eventually(holds, 200, what)
    world.note(f"a node dies -> {what}: {time.monotonic() - lost:.0f} s")


def _pods_on(queue: Queue, node: str) -> list[str]:
    return [pod["metadata"]["name"] for pod in queue.pods() if pod["spec"].get("nodeName") == node]


def _ready_on(queue: Queue, node: str) -> list[str]:
    ready = {pod["metadata"]["name"] for pod in queue.pods() if is_ready(pod)}
    return [name for name in _pods_on(queue, node) if name in ready]


def _reclaim_on(queue: Queue, node: str) -> str | None:
    """The job of a run on this node that hasn't ended."""
    labels = {QUEUE_LABEL: queue.name, "app.kubernetes.io/component": "reclaim"}
    for pod in queue.view.all("pods", labels):
        if pod["spec"].get("nodeName") == node and pod["status"]["phase"] in ("Pending", "Running"):
            return str(pod["metadata"]["ownerReferences"][0]["name"])
    return None


def _later_runs(queue: Queue, run: str) -> list[str]:
    """Those that did their work."""
    jobs = queue.view.all("jobs", {QUEUE_LABEL: queue.name})
    return [job["metadata"]["name"] for job in jobs if job["metadata"]["name"] > run and job["status"].get("succeeded")]


def _operators_on(world: World, node: str) -> set[str]:
    pods = world.chart.operator.get("pods", "--selector", world.chart.selector)["items"]
    return {pod["metadata"]["name"] for pod in pods if pod["spec"].get("nodeName") == node}


def _leader(world: World) -> str:
    """The pod that holds the Lease."""
    (lease,) = world.chart.operator.get("leases")["items"]
    return str(lease["spec"]["holderIdentity"]).rpartition("_")[0]

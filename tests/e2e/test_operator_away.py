"""The operator restarts, is away, is uninstalled: fleets don't notice. These run alone, after all others."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.e2e.cli import Cli
from tests.e2e.queue import IMAGE, Queue
from tests.e2e.world import World
from tests.kube.chart import RELEASE, HelmError
from tests.kube.footprint import footprint

SETTLED = 5.0  # seconds that a new leader has to spoil something


@pytest.fixture(scope="module", autouse=True)
def alone(world: World) -> None:
    """The queues of the tests before go: each operator that starts would write all of their objects once more."""
    world.kubectl("delete", "streamqueues", "--all", "--wait=false")


def test_restarting_the_operator_changes_nothing(world: World) -> None:
    scaling = {"maxReplicas": 2, "targetBacklog": 1, "scaleDown": {"delay": "5s"}}
    queue = world.queue("steady", handler={"image": IMAGE, "timeout": "30s"}, delivery={}, scaling=scaling).apply()
    ids = queue.add(2, until="steady:seen")
    queue.await_ready_pods(2)
    world.view.eventually(lambda: queue.pending() == 2, 60, "both tasks are in work")
    before, leader = _state(queue), _leader(world)

    world.chart.restart()
    world.view.eventually(lambda: _leader(world) not in ("", leader), 30, "the new pod leads")
    threading.Event().wait(SETTLED)

    assert queue.pending() == 2
    assert _state(queue) == before
    queue.let_go("steady:seen")
    queue.await_results(ids, 60)
    assert sorted(row["task"] for row in queue.results()) == sorted(ids)


def _state(queue: Queue) -> dict[str, Any]:
    """All that the queue owns as it was asked for, and its pods. A version alone may move with a status."""
    name = queue.name
    owned = {"deployments": name, "cronjobs": f"{name}-reclaim", "serviceaccounts": name, "poddisruptionbudgets": name}
    state = {f"{kind}/{name}": _as_asked(queue.view.get(kind, name)) for kind, name in owned.items()}
    pods = {pod["metadata"]["uid"]: pod["status"]["containerStatuses"][0]["restartCount"] for pod in queue.pods()}
    return state | {"pods": pods}


def _as_asked(body: dict[str, Any] | None) -> dict[str, Any]:
    assert body
    metadata = {name: value for name, value in body["metadata"].items() if name != "resourceVersion"}
    return {name: value for name, value in body.items() if name != "status"} | {"metadata": metadata}


def _leader(world: World) -> str:
    leases = world.chart.operator.get("leases")["items"]
    return next((lease["spec"].get("holderIdentity") or "" for lease in leases), "")


def test_an_operator_that_lost_its_lease_ends_at_once(world: World) -> None:
    """Its container starts anew: it must not linger, and serve nobody, until its probe fails."""
    names = [world.queue(f"touched-{number}", scaling={"paused": True}).apply().name for number in range(8)]
    leader, before = _leader(world), _restarts(world)
    with _news(world, names):
        _give_lease(world, "thief")
        world.view.eventually(lambda: _restarts(world) > before, 20, "the process ended")
    _give_lease(world, "")
    world.view.eventually(lambda: _leader(world) not in ("", leader), 20, "the new process leads")


@contextmanager
def _news(world: World, names: list[str]) -> Iterator[None]:
    """Changes to take in without a pause: an operator that has some in hand is the hardest to end."""
    stop, flowing = threading.Event(), threading.Event()

    def change() -> None:
        while not stop.is_set():
            world.kubectl("annotate", "streamqueues", *names, f"touched={time.monotonic()}", "--overwrite")
            flowing.set()

    thread = threading.Thread(target=change, daemon=True)
    thread.start()
    flowing.wait(30)
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _give_lease(world: World, holder: str) -> None:
    world.chart.operator(
        "patch", "lease", f"{RELEASE}-operator", "--type=merge", f'--patch={{"spec": {{"holderIdentity": "{holder}"}}}}'
    )


def _restarts(world: World) -> int:
    pods = world.chart.operator.get("pods", "--selector", world.chart.selector)["items"]
    return sum(each["restartCount"] for pod in pods for each in pod["status"]["containerStatuses"])


@pytest.fixture
def operator_comes_back(world: World) -> Iterator[None]:
    """Whatever the test does with the operator's pods, one runs afterwards."""
    yield
    world.chart.scale(1)


@pytest.mark.usefixtures("operator_comes_back")
def test_without_the_operator_stuck_work_returns_and_deletion_works(world: World) -> None:
    deleted = world.queue("orphaned", scaling={"minReplicas": 2, "maxReplicas": 2}).apply()
    stuck = world.queue(
        "stuck",
        scaling={"minReplicas": 1, "maxReplicas": 1},
    ).apply()
    deleted.await_ready_pods(2)
    stuck.await_ready_pods(1)
    world.kubectl("scale", "deployment/stuck", "--replicas=0")
    world.chart.scale(0)
    assert "no operator leads" in Cli(world).findings(stuck)["operator-down"]["cause"]
    with pytest.raises(HelmError):
        world.chart.test()
    assert "no operator pod behind the Service" in world.chart.test_log()
    world.kubectl("scale", "deployment/stuck", "--replicas=0")
    world.view.eventually(lambda: not stuck.pods(), 60, "no worker takes the task before the ghost does")
    ids = stuck.add(1)
    assert stuck.client.xreadgroup("workers", "ghost", {"stuck": ">"})
    world.kubectl("scale", "deployment/stuck", "--replicas=1")

    deleted.delete()
    world.view.eventually(lambda: _ghost_freed(stuck), 90, "a run of the CronJob returns the stuck entry")
    stuck.await_results(ids, 60)
    world.view.eventually(lambda: not deleted.belongings(), 90, "all that belonged to the deleted queue is gone")


def _ghost_freed(queue: Queue) -> bool:
    """Whether the ghost holds nothing after one more pass. The schedule's own may come first: what one says can't tell.

    The first pass on a server only learns its clock, and idle times count from then.
    """
    queue.reclaim()
    return not queue.client.xpending_range(queue.stream, queue.group, "-", "+", 1, "ghost")


@pytest.mark.usefixtures("operator_comes_back")
def test_when_the_leader_goes_the_other_operator_takes_over(world: World) -> None:
    queue = world.queue("heir").apply()
    queue.await_condition("Ready", "True")
    world.chart.scale(2)
    leader = _leader(world)
    world.chart.operator("delete", "pod", leader.partition("_")[0], "--wait=false")
    gone = time.monotonic()
    world.view.eventually(lambda: _leader(world) not in ("", leader), 8, "the other leads before the lease is over")
    world.note(f"leader's pod deleted -> the other leads: {time.monotonic() - gone:.1f} s")
    ids = queue.add(3)
    queue.await_results(ids, 60)


def test_the_operator_stays_within_its_own_memory_limit(world: World) -> None:
    cost = footprint(world.chart)
    world.note(f"operator: {cost}")
    [container] = world.chart.operator.get("deployment", "streamqueue")["spec"]["template"]["spec"]["containers"]
    limit = container["resources"]["limits"]["memory"]
    assert limit.endswith("Mi") and 0 < cost.rss < int(limit.removesuffix("Mi")) << 20

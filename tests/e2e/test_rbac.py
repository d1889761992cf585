"""What the operator called, by the audit log, is what its roles grant: nothing missing, nothing spare."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.e2e.cli import Cli
from tests.e2e.queue import Queue
from tests.e2e.world import World
from tests.kube.audit import AuditLog, Call, Right
from tests.kube.chart import NAMESPACE, RELEASE

STARTED = datetime.now(UTC)  # when pytest collected: before the first test
ACCOUNT = f"system:serviceaccount:{NAMESPACE}:{RELEASE}"
SOMEBODY_ELSES = ("deployments", "cronjobs", "serviceaccounts", "poddisruptionbudgets")
NONE = {"minReplicas": 0, "maxReplicas": 1}
AUDIT = AuditLog()

pytestmark = pytest.mark.last


def made(world: World) -> list[Call]:
    """All calls of this session's operator pods."""
    return AUDIT.calls(STARTED, f"{RELEASE}-", world.strangers | {f"{RELEASE}-test"})


def granted(world: World) -> set[Right]:
    """What the roles of the release grant, wherever they are."""
    roles = world.chart.operator.get("clusterroles,roles", "--all-namespaces", "--selector", world.chart.selector)
    return {
        (group, resource, verb)
        for role in roles["items"]
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def refusals(found: list[Call]) -> set[str]:
    return {call.text for call in found if not call.allowed}


def test_what_is_granted_is_what_is_used(world: World) -> None:
    """What the tests before have not called is called here."""
    if spare(world):
        taken = [conflict(world, kind) for kind in SOMEBODY_ELSES]
        for queue in taken:
            queue.await_condition("Ready", "False", "NameConflict")
        world.chart.operator("delete", "lease", f"{RELEASE}-operator")
        world.chart.restart()  # a new process writes each object once, for it can't know whether it did
    if spare(world):  # alone, or after few others
        take_a_turn(world)

    world.view.eventually(lambda: not spare(world), 60, "every right is used")
    assert not spare(world)
    assert not refusals(made(world))
    world.note(f"rights of the operator: {len(granted(world))}, each used; {len(made(world))} calls, none refused")


def spare(world: World) -> set[Right]:
    return granted(world) - {call.right for call in made(world)}


def take_a_turn(world: World) -> None:
    """From zero to two workers and back, with the Redis URL in a Secret."""
    world.secret("rights", url=world.server.url)
    spec = {"redis": {"secretRef": {"name": "rights", "key": "url"}}}
    scaling = {"maxReplicas": 2, "targetBacklog": 1, "scaleDown": {"delay": "1s"}}
    queue = world.queue("rights", **spec, scaling=scaling).apply()
    queue.await_results(queue.add(2, seconds="1"), 60)
    queue.await_zero()


def conflict(world: World, kind: str) -> Queue:
    """A queue that wants an object of the name of one that belongs to nobody."""
    name = f"taken-{kind}"
    theirs = f"{name}-reclaim" if kind == "cronjobs" else name
    world.kubectl.apply(body_of(kind, theirs))
    return world.queue(name, scaling=NONE).apply()


def body_of(kind: str, name: str) -> dict[str, Any]:
    labels = {"app": name}
    pod = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "none"}]}}
    job = {"template": {"spec": {**pod["spec"], "restartPolicy": "Never"}}}
    versions: dict[str, tuple[str, str, dict[str, Any]]] = {
        "deployments": (
            "apps/v1",
            "Deployment",
            {"spec": {"replicas": 0, "selector": {"matchLabels": labels}, "template": pod}},
        ),
        "cronjobs": (
            "batch/v1",
            "CronJob",
            {"spec": {"schedule": "0 0 1 1 *", "suspend": True, "jobTemplate": {"spec": job}}},
        ),
        "serviceaccounts": ("v1", "ServiceAccount", {}),
        "poddisruptionbudgets": ("policy/v1", "PodDisruptionBudget", {"spec": {"selector": {"matchLabels": labels}}}),
    }
    version, known_as, rest = versions[kind]
    return {"apiVersion": version, "kind": known_as, "metadata": {"name": name}, **rest}


@pytest.fixture
def confined(world: World) -> Iterator[tuple[World, datetime]]:
    """The operator with a list of namespaces, this run's alone; and since when."""
    began = datetime.now(UTC)
    world.chart.upgrade("charts/streamqueue", f"watchNamespaces={{{world.kubectl.namespace}}}")
    world.chart.wait()
    yield world, began
    world.chart.upgrade()


def test_with_a_list_of_namespaces_it_works_there_and_may_nothing_elsewhere(confined: tuple[World, datetime]) -> None:
    world, began = confined
    queue = world.queue("confined").apply()
    queue.await_results(queue.add(2), 60)

    found = AUDIT.calls(began, f"{RELEASE}-", world.strangers)
    assert found and not refusals(found)
    assert not may(world, "list", "pods", "--all-namespaces")
    assert not may(world, "get", "secrets", f"--namespace={NAMESPACE}")
    assert may(world, "get", "secrets", f"--namespace={world.kubectl.namespace}")

    world.chart.upgrade("charts/streamqueue", "watchNamespaces={default}")
    world.chart.wait()
    assert queue.condition("Ready")["status"] == "True", "as it was"
    finding = world.view.eventually(lambda: Cli(world).findings(queue).get("not-reported"), 60, "doctor says so")
    assert "watchNamespaces" in finding["next"]


def may(world: World, *what: str) -> bool:
    said = world.kubectl("auth", "can-i", *what, f"--as={ACCOUNT}", check=False).stdout.strip()
    assert said in ("yes", "no")
    return said == "yes"

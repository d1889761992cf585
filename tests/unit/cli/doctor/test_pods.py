"""Can the workers run?"""

from __future__ import annotations

from typing import Any

import pytest

from streamqueue.cli.doctor.checks import diagnose
from tests.unit.cli.build import (
    CRASH,
    IMAGE,
    OTHER_POD,
    POD,
    cluster,
    condition,
    facts,
    only,
    pod,
    queue,
    rfc3339,
    spec,
)

PULL = {"state": {"waiting": {"reason": "ImagePullBackOff", "message": 'Back-off pulling image "nope:1"'}}}
CONFIG = {"state": {"waiting": {"reason": "CreateContainerConfigError", "message": 'secret "keys" not found'}}}


def test_image_cannot_be_pulled() -> None:
    finding = only(facts(cluster=cluster(pods=(pod(ready_for=None, container=PULL),))))
    assert finding.check == "image-pull"
    assert "registry.example/orders:1" in finding.cause and "Back-off pulling" in finding.cause
    assert finding.next == f"kubectl describe pod -n shop {POD}"
    silent = {"state": {"waiting": {"reason": "ErrImagePull"}}}
    beside = pod(ready_for=None, container=silent)
    beside["status"]["initContainerStatuses"] = [{"name": "mesh", "image": "mesh:2", "ready": True}]
    finding = only(facts(cluster=cluster(pods=(beside,))))
    assert finding.cause == "image registry.example/orders:1 can't be pulled: the kubelet gives no reason"


@pytest.mark.parametrize("container", [PULL, CRASH, CONFIG], ids=["image-pull", "crash-loop", "container-config"])
def test_a_release_that_was_replaced_is_no_finding(container: dict[str, Any]) -> None:
    broken = pod(OTHER_POD, ready_for=None, container=container, image="registry.example/orders:0")
    told = queue(conditions=[condition("PodsFailing", "True", "CrashLoop", f"1 pod(s): pod {OTHER_POD}")])
    assert diagnose(facts(cluster=cluster(queue=told, pods=(pod(), broken)))) == []
    current = pod(OTHER_POD, ready_for=None, container=container)
    assert only(facts(cluster=cluster(pods=(pod(), current, broken))))


def test_handler_crash_loops() -> None:
    finding = only(facts(cluster=cluster(pods=(pod(ready_for=None, container=CRASH),))))
    assert finding.check == "crash-loop"
    assert (
        finding.cause == f"pod {POD}: container handler crashes again and again: 4 restart(s), last exit code 3 (Error)"
    )
    assert finding.next == f"kubectl logs --previous {POD} -n shop"
    ended = {"state": CRASH["lastState"], "restartCount": 4}  # and not held back yet
    assert only(facts(cluster=cluster(pods=(pod(ready_for=None, container=ended),)))) == finding


def test_one_crash_loop_is_told_of_also_beside_a_spec_that_cannot_be_read() -> None:
    both = cluster(pods=(pod(ready_for=None, container=CRASH), pod(OTHER_POD, ready_for=None, container=CRASH)))
    assert only(facts(cluster=both)) == only(facts(cluster=both, spec=None))


def test_a_container_that_cannot_be_created() -> None:
    finding = only(facts(cluster=cluster(pods=(pod(ready_for=None, container=CONFIG),))))
    assert finding.check == "container-config"
    assert finding.cause == f"""pod {POD}: container handler can't be created: secret "keys" not found"""
    assert finding.next == f"kubectl describe pod {POD} -n shop"
    crashed_before = {**CRASH, **CONFIG}
    assert only(facts(cluster=cluster(pods=(pod(ready_for=None, container=crashed_before),)))) == finding


@pytest.mark.parametrize("runner", [{}, {"lastState": {"terminated": {"exitCode": 1}}, "restartCount": 1}], ids=str)
def test_an_http_handler_that_crashes_is_asked_for_its_own_log(runner: dict[str, Any]) -> None:
    """It is a sidecar, and among the init containers; the pod's main container is the runner."""
    looping = pod(ready_for=None)
    looping["spec"]["initContainers"] = [{"name": "handler", "image": IMAGE}]
    looping["spec"]["containers"] = [{"name": "runner", "image": "operator"}]
    looping["status"]["initContainerStatuses"] = [{"name": "handler", "image": IMAGE, **CRASH}]
    looping["status"]["containerStatuses"] = [{"name": "runner", "image": "operator", "state": {}, **runner}]
    finding = only(facts(cluster=cluster(pods=(looping,))))
    assert "4 restart(s), last exit code 3" in finding.cause
    assert finding.next == f"kubectl logs --previous {POD} -c handler -n shop"
    looping["status"]["initContainerStatuses"][0]["name"] = "migrate"
    assert only(facts(cluster=cluster(pods=(looping,)))).cause.startswith(f"pod {POD}: container migrate crashes")


@pytest.mark.parametrize(
    "message",
    [
        "container has runAsNonRoot and image will run as root",
        "container has runAsNonRoot and image has non-numeric user (app), cannot verify user is non-root",
        'container\'s runAsUser breaks non-root policy (pod: "orders", container: handler)',
    ],
)
def test_an_image_that_would_run_as_root_is_told_what_to_do(message: str) -> None:
    waiting = {"state": {"waiting": {"reason": "CreateContainerConfigError", "message": message}}}
    finding = only(facts(cluster=cluster(pods=(pod(ready_for=None, container=waiting),))))
    assert finding.check == "container-config" and "runAsNonRoot: false" in finding.next


def test_pods_unschedulable() -> None:
    finding = only(facts(cluster=cluster(pods=(pod(unplaced="0/1 nodes: Insufficient cpu"), pod(OTHER_POD)))))
    assert finding.check == "unschedulable"
    assert "1 pod(s) find no node: 0/1 nodes: Insufficient cpu" in finding.cause
    assert "resources" in finding.next
    unfit = pod(unplaced='persistentvolumeclaim "data" not found')
    finding = only(facts(cluster=cluster(pods=(unfit, pod(OTHER_POD)))))
    assert "volumes" in finding.next and "resources" not in finding.next


def test_pods_never_ready() -> None:
    runs = {"state": {"running": {"startedAt": rfc3339(600)}}, "started": False, "ready": False}
    waits = pod(ready_for=None, container=runs)
    told = queue(conditions=[condition("Ready", "False", "NotReady"), condition("PodsFailing", "True", "NotReady")])
    finding = only(facts(cluster=cluster(queue=told, pods=(waits, pod(OTHER_POD)))))
    assert finding.check == "never-ready"
    assert finding.cause == f"pod {POD}: container handler runs, and has not passed its startup probe"
    assert finding.next == f"kubectl describe pod -n shop {POD}"
    http = queue(spec(handler={"image": IMAGE, "protocol": "http", "port": 3000}))
    finding = only(facts(cluster=cluster(queue=http, pods=(waits,))))
    assert finding.next.startswith("let it listen on port 3000 of every address (0.0.0.0)")
    comes = pod(ready_for=None, container={"state": {"waiting": {"reason": "ContainerCreating"}}})
    assert only(facts(cluster=cluster(queue=http, pods=(comes,)))).next == f"kubectl describe pod -n shop {POD}"
    crashed = pod(ready_for=None, container={**CRASH, "state": {"running": {"startedAt": rfc3339(5)}}})
    assert only(facts(cluster=cluster(pods=(crashed,)))).check == "crash-loop", "there is more to say of it"


def test_pods_on_a_node_that_is_gone() -> None:
    gone = pod(OTHER_POD)
    gone["spec"]["nodeName"] = "node-7"
    gone["metadata"]["deletionTimestamp"] = rfc3339(60)
    assert diagnose(facts(cluster=cluster(pods=(pod(), gone)))) == []
    gone["metadata"]["deletionTimestamp"] = rfc3339(61)
    finding = only(facts(cluster=cluster(pods=(pod(), gone))))
    assert (finding.check, finding.warning) == ("lost-pods", True)
    assert OTHER_POD in finding.cause and finding.next == "kubectl get node node-7"
    gone["status"]["phase"] = "Failed"
    assert diagnose(facts(cluster=cluster(pods=(pod(), gone)))) == [], "it has ended, and nobody counts it"


def budget(**selector: Any) -> dict[str, Any]:
    return {"metadata": {"name": "mine"}, "spec": {"selector": selector}}


@pytest.mark.parametrize(
    ("selector", "selects"),
    [
        ({}, True),
        ({"matchLabels": {"app": "orders"}}, True),
        ({"matchLabels": {"app": "orders", "tier": "web"}}, False),
        ({"matchExpressions": [{"key": "app", "operator": "In", "values": ["orders"]}]}, True),
        ({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["orders"]}]}, False),
        ({"matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["web"]}]}, True),
        ({"matchExpressions": [{"key": "tier", "operator": "Exists"}]}, False),
        ({"matchExpressions": [{"key": "tier", "operator": "DoesNotExist"}]}, True),
    ],
)
def test_pods_with_two_disruption_budgets_are_not_evicted(selector: dict[str, Any], selects: bool) -> None:
    labelled = pod()
    labelled["metadata"]["labels"] = {"app": "orders"}
    given = facts(cluster=cluster(pods=(labelled,), budgets=(budget(**selector),)))
    assert [finding.check for finding in diagnose(given)] == (["second-budget"] if selects else [])


def test_a_budget_without_a_selector_selects_nothing() -> None:
    none = {"metadata": {"name": "none"}, "spec": {"maxUnavailable": 1}}
    assert diagnose(facts(cluster=cluster(budgets=(none,)))) == []
    assert only(facts(cluster=cluster(budgets=(none, budget())))).next == "kubectl delete pdb -n shop mine"

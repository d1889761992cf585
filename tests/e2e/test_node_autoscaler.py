"""With a real node autoscaler: pods without a node pull one in, and a node is given back only when nobody works on it.

Karpenter decides, KWOK plays its nodes: pods there are Running, but nothing runs in them. The test is their consumers.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.cluster import node_autoscaler
from tests.cluster.handles import load
from tests.e2e.queue import IMAGE, Queue
from tests.e2e.world import World
from tests.kube.kubectl import Kubectl

pytestmark = [pytest.mark.nodes, pytest.mark.timeout(900)]

POOL = "streamqueue-e2e"
CORES = "40"  # that a worker asks for: more than the cluster's real node has to give
ARCH, SYSTEM, CAPACITY = "kubernetes.io/arch", "kubernetes.io/os", "karpenter.sh/capacity-type"
MARKS = {"cluster-autoscaler.kubernetes.io/safe-to-evict": "false", "karpenter.sh/do-not-disrupt": "true"}
TAINT = {"key": "streamqueue.dev/e2e", "value": "nodes", "effect": "NoSchedule"}
POD = {
    "spec": {
        "tolerations": [{"operator": "Exists"}],
        "containers": [{"name": "handler", "resources": {"requests": {"cpu": CORES}}}],
    }
}


class Pool:
    """Karpenter's nodes for this test; the taint keeps all other pods of the cluster away."""

    def __init__(self, kubectl: Kubectl) -> None:
        self.kubectl = kubectl

    def create(self) -> None:
        wanted = {ARCH: "amd64", SYSTEM: "linux", CAPACITY: "on-demand"}
        node = {
            "nodeClassRef": {"group": "karpenter.kwok.sh", "kind": "KWOKNodeClass", "name": POOL},
            "requirements": [{"key": key, "operator": "In", "values": [value]} for key, value in wanted.items()],
            "taints": [TAINT],
            "expireAfter": "Never",
        }
        disruption = {"consolidationPolicy": "WhenEmptyOrUnderutilized", "consolidateAfter": "5s"}
        self.kubectl.apply(
            {"apiVersion": "karpenter.kwok.sh/v1alpha1", "kind": "KWOKNodeClass", "metadata": {"name": POOL}},
            {
                "apiVersion": "karpenter.sh/v1",
                "kind": "NodePool",
                "metadata": {"name": POOL},
                "spec": {"template": {"spec": node}, "disruption": disruption},
            },
        )

    def delete(self) -> None:
        """Returns when its nodes are gone."""
        self.kubectl("delete", "nodepool", POOL, "--ignore-not-found", "--cascade=foreground", "--timeout=110s")
        self.kubectl("delete", "kwoknodeclass", POOL, "--ignore-not-found", "--timeout=60s")

    def nodes(self) -> dict[str, int]:
        """Cores of each of its nodes."""
        found = self.kubectl.get("nodes", f"--selector=karpenter.sh/nodepool={POOL}")["items"]
        return {node["metadata"]["name"]: int(node["status"]["capacity"]["cpu"]) for node in found}

    def refusals(self, pod: str) -> list[str]:
        """What Karpenter said of why it leaves a node alone, where it named this pod."""
        events = self.kubectl.get("events", "--all-namespaces", "--field-selector=reason=DisruptionBlocked")["items"]
        return [event["message"] for event in events if pod in event["message"]]


@pytest.fixture
def pool(world: World) -> Iterator[Pool]:
    handles = load()
    node_autoscaler.BUNDLE.build(print)
    node_autoscaler.install(handles, print)
    pool = Pool(world.kubectl)
    yield pool
    pool.delete()
    node_autoscaler.uninstall(handles)


def test_nodes_come_for_waiting_work_and_go_when_it_is_done(world: World, pool: Pool) -> None:
    queue = world.queue(
        "nodes",
        handler={"image": IMAGE, "timeout": "1m"},
        delivery={"visibilityTimeout": "10m"},
        scaling={"maxReplicas": 6, "targetBacklog": 1, "scaleDown": {"delay": "5s"}},
        template=POD,
    ).apply()
    queue.await_condition("Ready", "True")

    # No room: the scheduler's reason is shown, and what has no node isn't asked for again.
    queue.add(2)
    shown = queue.await_condition("PodsUnschedulable", "True", "Unschedulable")
    assert shown["message"].startswith("2 pod(s)") and "Insufficient cpu" in shown["message"]
    world.view.eventually(lambda: queue.status.get("reason") == "Unschedulable", 30, "the status says why not more")
    assert (queue.replicas, queue.peak(), len(queue.pods())) == (2, 2, 2)

    # A node comes, and the pods go there.
    pool.create()
    first, second = (pod["metadata"]["name"] for pod in queue.await_ready_pods(2, 120))
    world.view.eventually(lambda: not queue.condition("PodsUnschedulable"), 30, "the condition is over")
    assert queue.peak() == 2
    begun = _places(queue)
    assert set(begun.values()) <= pool.nodes().keys()

    # One works on, the other is done and goes: the node that remains is too big, and is left alone.
    done, held = _take(queue, first), _take(queue, second)
    queue.client.xack(queue.stream, queue.group, done)
    world.view.eventually(lambda: _places(queue) == {second: begun[second]}, 90, "only the idle pod is gone")
    world.view.eventually(lambda: pool.nodes().keys() == {begun[second]}, 90, "the busy pod keeps its node")
    world.view.eventually(lambda: pool.refusals(second), 120, "Karpenter says that it may not touch the busy pod")
    assert _places(queue) == {second: begun[second]}
    assert _marks(queue, second) == MARKS

    # Kept although idle: the marks come off, and now the pod may be moved to a node of its size.
    _keep(world, queue, 1)
    queue.client.xack(queue.stream, queue.group, held)
    world.view.eventually(lambda: _marks(queue, second) == {}, 60, "an idle pod loses its marks")
    large = pool.nodes()[begun[second]]
    world.view.eventually(lambda: _moved(pool, begun[second], large), 180, "a smaller node takes its place")

    # Nothing left to do: the fleet goes, and its node with it.
    _keep(world, queue, 0)
    queue.await_zero()
    world.view.eventually(lambda: not pool.nodes(), 120, "the empty node is given back")
    queue.delete()


def _take(queue: Queue, pod: str) -> str:
    """Read one task as this pod would; its id."""
    ((_, ((entry, _),)),) = queue.client.xreadgroup(queue.group, pod, {queue.stream: ">"}, count=1)
    return str(entry)


def _places(queue: Queue) -> dict[str, str]:
    """The node of each pod that isn't on its way out."""
    return {
        pod["metadata"]["name"]: pod["spec"].get("nodeName", "")
        for pod in queue.pods()
        if "deletionTimestamp" not in pod["metadata"]
    }


def _marks(queue: Queue, pod: str) -> dict[str, Any]:
    body = queue.view.get("pods", pod) or {"metadata": {}}
    annotations = body["metadata"].get("annotations", {})
    return {name: annotations[name] for name in MARKS if name in annotations}


def _moved(pool: Pool, node: str, cores: int) -> bool:
    nodes = pool.nodes()
    return node not in nodes and all(each < cores for each in nodes.values()) and bool(nodes)


def _keep(world: World, queue: Queue, replicas: int) -> None:
    patch = f'{{"spec": {{"scaling": {{"minReplicas": {replicas}}}}}}}'
    world.kubectl("patch", "streamqueue", queue.name, "--type=merge", f"--patch={patch}")

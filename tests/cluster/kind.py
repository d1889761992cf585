"""The kind cluster: created, found again, brought back after a restart of Docker, deleted."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto
from pathlib import Path

from tests.cluster import config, docker, pod_network
from tests.cluster.handles import Handles
from tests.cluster.settings import CLUSTER, NODE_CONTAINER, WORKERS
from tests.cluster.shell import HarnessError, answer, output, run

COMES_BACK_SECONDS = 60
READY_SECONDS = 180


@dataclass(frozen=True)
class Node:
    """The cluster's container as Docker sees it."""

    image_id: str
    running: bool
    started: str
    mounts: tuple[str, ...] = ()  # folders of this machine


class Action(Enum):
    """What brings the cluster to the wanted state."""

    WAIT = auto()
    START = auto()
    CREATE = auto()
    RECREATE = auto()


def choose(node: Node | None, wanted_image_id: str | None, wanted_mount: str) -> Action:
    """A cluster of another node image or configuration is another Kubernetes or another recipe: it is replaced."""
    if node is None:
        return Action.CREATE
    if node.image_id != wanted_image_id or wanted_mount not in node.mounts:
        return Action.RECREATE
    return Action.WAIT if node.running else Action.START


def find_node() -> Node | None:
    """The node's container, None where there is none."""
    text = answer(["docker", "container", "inspect", NODE_CONTAINER])
    if text is None:
        return None
    found = json.loads(text)[0]
    mounts = tuple(mount["Source"] for mount in found.get("Mounts", []))
    return Node(found["Image"], found["State"]["Running"], found["State"]["StartedAt"], mounts)


def ensure(handles: Handles, report: Callable[[str], None]) -> None:
    """Return once node and DNS are ready; a cluster that doesn't come back within a minute is made anew."""
    action = choose(find_node(), docker.image_id(handles.node_image), str(config.folder()))
    if action is Action.START:
        output(["docker", "start", NODE_CONTAINER, *WORKERS])
    if action in (Action.WAIT, Action.START):
        pod_network.connect()
        report("waiting until node and DNS are ready")
        if comes_back(handles):
            return
        action = Action.RECREATE
    if action is Action.RECREATE:
        delete(handles)
    create: list[str | Path] = [handles.kind, "create", "cluster", "--name", CLUSTER, "--image", handles.node_image]
    run([*create, "--config", config.write(), "--kubeconfig", handles.kubeconfig], "kind", report=report)
    pod_network.connect()
    report("waiting until node and DNS are ready")
    wait_ready(handles, READY_SECONDS)


def comes_back(handles: Handles) -> bool:
    """Whether the existing cluster gets ready in time."""
    try:
        output([handles.kind, "export", "kubeconfig", "--name", CLUSTER, "--kubeconfig", handles.kubeconfig])
        wait_ready(handles, COMES_BACK_SECONDS)
    except HarnessError:
        return False
    return True


def wait_ready(handles: Handles, seconds: float) -> None:
    """Return once the API server answers, the node is Ready and has reported since its start, and DNS serves."""
    deadline = time.monotonic() + seconds
    kubectl = (handles.kubectl, "--kubeconfig", handles.kubeconfig)
    while answer([*kubectl, "get", "--raw", "/readyz"], timeout=5) is None or not has_reported(handles):
        if time.monotonic() > deadline:
            raise HarnessError(f"The API server of the cluster {CLUSTER} has not answered for {seconds:.0f} s")
        time.sleep(0.5)
    for condition in (
        ("Ready", "node", "--all"),
        ("Available", "deployment/coredns", "--namespace=kube-system"),
    ):
        left = max(deadline - time.monotonic(), 1)
        output([*kubectl, "wait", f"--for=condition={condition[0]}", *condition[1:], f"--timeout={left:.0f}s"])


def has_reported(handles: Handles) -> bool:
    """Whether the kubelet renewed its lease since the container started: older conditions say nothing."""
    kubectl = (handles.kubectl, "--kubeconfig", handles.kubeconfig, "--namespace=kube-node-lease")
    renewed = answer([*kubectl, "get", "lease", NODE_CONTAINER, "--output=jsonpath={.spec.renewTime}"], timeout=5)
    node = find_node()
    return node is not None and bool(renewed) and is_after(str(renewed), node.started)


def is_after(one: str, other: str) -> bool:
    """Whether the first RFC 3339 time is later; Docker's has nine digits after the point, Python reads six."""
    return parse_time(one) > parse_time(other)


def parse_time(text: str) -> datetime:
    """An RFC 3339 time in UTC, to the second."""
    return datetime.strptime(text[:19], "%Y-%m-%dT%H:%M:%S")


def delete(handles: Handles) -> None:
    """Delete the cluster, if there is one."""
    if find_node() is not None:
        delete_command = [handles.kind, "delete", "cluster", "--name", CLUSTER, "--kubeconfig", handles.kubeconfig]
        run(delete_command, "kind")


def loaded_id(tag: str) -> str | None:
    """The id of the image that the node's containerd holds under this tag: its configuration's digest."""
    containerd = ["docker", "exec", NODE_CONTAINER, "ctr", "--namespace=k8s.io"]
    listed = answer([*containerd, "images", "list", f"name==docker.io/{tag}"])
    lines = (listed or "").splitlines()[1:]
    if not lines:
        return None
    manifest = answer([*containerd, "content", "get", lines[0].split()[2]])
    if manifest is None:
        return None
    digest: str | None = json.loads(manifest).get("config", {}).get("digest")
    return digest


def load(handles: Handles, tags: tuple[str, ...]) -> list[str]:
    """Load those images that the node holds in another state or not at all; returns their tags."""
    stale = [tag for tag in tags if loaded_id(tag) != docker.image_id(tag)]
    if stale:
        run([handles.kind, "load", "docker-image", "--name", CLUSTER, *stale], "kind")
    return stale


def server_version(handles: Handles) -> str | None:
    """The API server's version, None where it doesn't answer."""
    text = answer([handles.kubectl, "--kubeconfig", handles.kubeconfig, "get", "--raw", "/version"], timeout=5)
    return str(json.loads(text)["gitVersion"]) if text else None

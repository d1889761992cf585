"""Two fleets side by side on the kind cluster: one of ours, and one of KEDA's.

Both get the same tasks at the same moments, and run the same pods on the same node.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import Any

from tests.cluster import keda
from tests.cluster.handles import Handles, load
from tests.kube.chart import Chart
from tests.kube.kubectl import Kubectl
from tests.kube.redis_server import RedisServer
from tests.kube.view import Body, View

from benchmarks.beside.came import Came, measure
from benchmarks.beside.peer import await_look, deployment, scaled_object
from benchmarks.beside.simulated import simulate
from streamqueue.api.parse import parse_spec
from streamqueue.simulate.fleet import Law
from streamqueue.simulate.laws import KedaConfig, KedaLaw, StreamQueueLaw
from streamqueue.simulate.trace import Trace

NAMESPACE = "streamqueue-bench-beside"
GROUP = "workers"
OURS, PEER = "ours", "peer"
LABELS = {OURS: ("app.kubernetes.io/component", "worker"), PEER: ("app", PEER)}
PER_REPLICA = 5  # tasks: KEDA's default
REPLICAS = 20
POLL = 30.0  # seconds: KEDA's default
COOLED = 900.0  # seconds until both fleets must be gone


@dataclass(frozen=True)
class Ran:
    """What both fleets did, on the cluster and in the simulator, and the machine's load before and after."""

    came: Mapping[str, Came]
    simulated: Mapping[str, Came]
    loads: tuple[float, float]


def run(trace: Trace, scaling: Body, target: float) -> Ran:
    """`scaling` is what ours is told; waits of more than `target` seconds are late. Takes minutes and prints."""
    handles, queue = load(), _queue(scaling)
    with _keda(handles) as kubectl:
        before = os.getloadavg()[0]
        came = _side_by_side(kubectl, handles.kubeconfig, queue, trace, target)
        loads = (before, os.getloadavg()[0])
    laws: dict[str, Law] = {
        OURS: StreamQueueLaw(parse_spec(queue["spec"]).scaling),
        PEER: KedaLaw(KedaConfig(target=PER_REPLICA, max_replicas=REPLICAS)),
    }
    simulated = {
        name: simulate(law, trace, came[name].cold_start or 0.0, target, POLL / 2) for name, law in laws.items()
    }
    return Ran(came, simulated, loads)


@contextmanager
def _keda(handles: Handles) -> Iterator[Kubectl]:
    """Both operators on the cluster, and kubectl for a namespace that goes with KEDA."""
    kubectl = Kubectl(handles.kubectl, handles.kubeconfig, NAMESPACE)
    Chart(handles.helm, kubectl).install()
    kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found")
    try:
        keda.install(handles)
        yield kubectl
    finally:
        kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found")
        keda.uninstall(handles)


def _side_by_side(kubectl: Kubectl, kubeconfig: str, queue: Body, trace: Trace, target: float) -> dict[str, Came]:
    """Both fleets from nothing through the trace and back to nothing."""
    kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    server = RedisServer(kubectl, "redis")
    server.create()
    redis, view = server.wait(), View(kubeconfig, NAMESPACE)
    kubectl.apply(queue)
    like = view.eventually(lambda: view.get("deployments", OURS), 60, "the queue has its Deployment") or {}
    view.eventually(
        lambda: (view.get("streamqueues", OURS) or {}).get("status", {}).get("reason") == "Idle", 60, "the queue sleeps"
    )
    kubectl.apply(deployment(PEER, like))
    redis.xgroup_create(PEER, GROUP, "0", mkstream=True)
    kubectl.apply(scaled_object(PEER, NAMESPACE, GROUP, PER_REPLICA, REPLICAS))
    await_look(redis, PEER)  # the first is at once
    await_look(redis, PEER)
    time.sleep(POLL / 2)  # a task comes half-way between two looks of KEDA, on average
    began = _feed(redis, trace)
    for stream in (OURS, PEER):
        view.eventually(partial(_all_done, redis, stream, trace), COOLED, f"{stream}: all done")
        print(f"{stream}: all done after {time.monotonic() - began:.0f} s", flush=True)
    for stream, label in LABELS.items():
        view.eventually(partial(_gone, view, label), COOLED, f"{stream}: no pod left")
        print(f"{stream}: no pod after {time.monotonic() - began:.0f} s", flush=True)
    return {
        stream: measure(redis, view, stream, GROUP, _pods(view, label), replicas=REPLICAS, target=target, since=began)
        for stream, label in LABELS.items()
    }


def _queue(scaling: Body) -> Body:
    container = {"name": "handler", "command": ["python3", "/app/examples/faults/handler.py"]}
    return {
        "apiVersion": "streamqueue.dev/v1alpha1",
        "kind": "StreamQueue",
        "metadata": {"name": OURS},
        "spec": {
            "redis": {"url": "redis://redis:6379/0"},
            "stream": OURS,
            "group": GROUP,
            "handler": {"image": "streamqueue/examples:dev", "timeout": "2m"},
            "scaling": {"maxReplicas": REPLICAS, **scaling},
            "template": {"spec": {"containers": [container]}},
        },
    }


def _feed(redis: Any, trace: Trace) -> float:
    """Add each task for both when it is due, those of a moment in one transaction. Returns when the first was."""
    began = time.monotonic()
    for at, tasks in groupby(zip(trace.arrivals, trace.services, strict=True), key=lambda task: task[0]):
        time.sleep(max(0.0, began + at - time.monotonic()))
        services = [service for _, service in tasks]
        for stream in (OURS, PEER):
            pipeline = redis.pipeline()
            for service in services:
                pipeline.xadd(stream, {"seconds": f"{service:.3f}"})
            pipeline.execute()
    return began


def _all_done(redis: Any, stream: str, trace: Trace) -> bool:
    """Every task has a result."""
    return int(redis.xlen(f"{{{stream}}}:g:{GROUP}:results")) >= len(trace.arrivals)


def _gone(view: View, label: tuple[str, str]) -> bool:
    return not view.all("pods", dict([label]))


def _pods(view: View, label: tuple[str, str]) -> list[str]:
    """The names of all that ever were, by their label."""
    return sorted(
        {body["metadata"]["name"] for body in view.ever("pods") if label in body["metadata"]["labels"].items()}
    )

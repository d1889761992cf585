"""`python -m benchmarks.scale`: a burst on a sleeping queue, ours and KEDA's law side by side on the kind cluster.

Both fleets get the same tasks at the same moment, run the same pods on the same node, and are told the same: so many
tasks a replica, at most so many replicas.
"""

from __future__ import annotations

import argparse
import os
import time
from dataclasses import asdict
from functools import partial
from typing import Any

from tests.cluster.handles import load
from tests.kube.chart import Chart
from tests.kube.kubectl import Kubectl
from tests.kube.redis_server import RedisServer
from tests.kube.view import View

from benchmarks.report import machine, publish
from benchmarks.scale.fleet import Came, measure
from benchmarks.scale.peer import Peer, deployment
from streamqueue.simulate.laws import KedaConfig

NAMESPACE = "streamqueue-bench-scale"
GROUP = "workers"
OURS, PEER = "ours", "peer"
LABELS = {OURS: ("app.kubernetes.io/component", "worker"), PEER: ("app", PEER)}
PER_REPLICA = 5  # tasks
REPLICAS = 20
HALF_A_POLL = 15.0  # seconds: a burst comes half-way between two looks of KEDA, on average
COOLED = 900.0  # seconds until both fleets must be gone


def queue() -> dict[str, Any]:
    return {
        "apiVersion": "streamqueue.dev/v1alpha1",
        "kind": "StreamQueue",
        "metadata": {"name": OURS},
        "spec": {
            "redis": {"url": "redis://redis:6379/0"},
            "stream": OURS,
            "group": GROUP,
            "handler": {"image": "streamqueue/examples:dev", "timeout": "30s"},
            "scaling": {"maxReplicas": REPLICAS, "targetBacklog": PER_REPLICA},
            "template": {
                "spec": {"containers": [{"name": "handler", "command": ["python3", "/app/examples/faults/handler.py"]}]}
            },
        },
    }


def burst(redis: Any, tasks: int, seconds: float) -> float:
    """The same tasks for both, in one transaction each; when, on the watch's clock."""
    began = time.monotonic()
    for stream in (OURS, PEER):
        pipeline = redis.pipeline()
        for _ in range(tasks):
            pipeline.xadd(stream, {"seconds": str(seconds)})
        pipeline.execute()
    return began


def pods(view: View, label: tuple[str, str]) -> list[str]:
    """The names of all that ever were, by their label."""
    return sorted(
        {body["metadata"]["name"] for body in view.ever("pods") if label in body["metadata"]["labels"].items()}
    )


def run(kubectl: Kubectl, redis: Any, view: View, tasks: int, seconds: float) -> dict[str, Came]:
    kubectl.apply(queue())
    like = view.eventually(lambda: view.get("deployments", OURS), 60, "the queue has its Deployment") or {}
    view.eventually(
        lambda: (view.get("streamqueues", OURS) or {}).get("status", {}).get("reason") == "Idle", 60, "the queue sleeps"
    )
    kubectl.apply(deployment(PEER, like))
    redis.xgroup_create(PEER, GROUP, "0", mkstream=True)
    peer = Peer(kubectl, redis, PEER, GROUP, KedaConfig(target=PER_REPLICA, max_replicas=REPLICAS))
    peer.start()
    try:
        time.sleep(HALF_A_POLL)
        began = burst(redis, tasks, seconds)
        for stream in (OURS, PEER):
            view.eventually(partial(all_done, redis, peer, stream, tasks), COOLED, f"{stream}: all done")
            print(f"{stream}: all done after {time.monotonic() - began:.0f} s", flush=True)
        for stream, label in LABELS.items():
            view.eventually(partial(gone, view, label), COOLED, f"{stream}: no pod left")
            print(f"{stream}: no pod after {time.monotonic() - began:.0f} s", flush=True)
    finally:
        peer.stop()
    return {
        stream: measure(redis, view, stream, GROUP, pods(view, label), REPLICAS, began)
        for stream, label in LABELS.items()
    }


def all_done(redis: Any, peer: Peer, stream: str, tasks: int) -> bool:
    """Every task has a result."""
    if peer.failed:
        raise peer.failed
    return int(redis.xlen(f"{{{stream}}}:g:{GROUP}:results")) >= tasks


def gone(view: View, label: tuple[str, str]) -> bool:
    return not view.all("pods", dict([label]))


def table(came: dict[str, Came], tasks: int, seconds: float, loads: tuple[float, float]) -> str:
    ours, peer = came[OURS], came[PEER]
    rows = [
        (f"first task to {REPLICAS} ready replicas", _seconds(ours.ready), _seconds(peer.ready)),
        ("first task to the last one done", _seconds(ours.drained), _seconds(peer.drained)),
        ("wait, median", _seconds(ours.p50_wait), _seconds(peer.p50_wait)),
        ("wait, p95", _seconds(ours.p95_wait), _seconds(peer.p95_wait)),
        ("pod-seconds until then", f"{ours.pod_seconds:.0f}", f"{peer.pod_seconds:.0f}"),
        ("first task to no pod left", _seconds(ours.zero), _seconds(peer.zero)),
        ("pod-seconds until no pod is left", f"{ours.pod_seconds_to_zero:.0f}", f"{peer.pod_seconds_to_zero:.0f}"),
        ("tasks started more than once", str(ours.started_twice), str(peer.started_twice)),
    ]
    lines = [
        f"# 0 to {REPLICAS} replicas, side by side",
        "",
        f"{machine()}, shared by the operator, Redis, a whole kind cluster, the benchmark and up to {2 * REPLICAS} "
        f"worker pods; load average {loads[0]:.1f} at the start, {loads[1]:.1f} at the end.",
        "",
        f"{tasks} tasks of {seconds:g} s come at once to a sleeping queue: {tasks * seconds:.0f} s of work. Both are "
        f"told {PER_REPLICA} tasks a replica and at most {REPLICAS} replicas, run the same pods and keep their other "
        "defaults. The peer is not KEDA's own program but its control law (2.20: polling 30 s, cooldown 300 s; HPA "
        "sync 15 s, at most doubling, window 300 s; lag trigger), which scales a Deployment here; the burst comes "
        "half-way between two of its polls.",
        "",
        "| | StreamQueue | KEDA's law with HPA |",
        "|---|---:|---:|",
        *(f"| {name} | {one} | {other} |" for name, one, other in rows),
    ]
    return "\n".join(lines) + "\n"


def _seconds(value: float | None) -> str:
    return "never" if value is None else f"{value:.1f} s"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=10.0, help="that each task takes")
    arguments = parser.parse_args()
    handles = load()
    kubectl = Kubectl(handles.kubectl, handles.kubeconfig, NAMESPACE)
    Chart(handles.helm, kubectl).install()
    kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found")
    kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    server = RedisServer(kubectl, "redis")
    server.create()
    redis, view = server.wait(), View(handles.kubeconfig, NAMESPACE)
    before = os.getloadavg()[0]
    came = run(kubectl, redis, view, arguments.tasks, arguments.seconds)
    text = table(came, arguments.tasks, arguments.seconds, (before, os.getloadavg()[0]))
    figures = {fleet: asdict(each) for fleet, each in came.items()}
    publish("scale", text, {"machine": machine(), "load": [before, os.getloadavg()[0]], **figures})
    kubectl("delete", "namespace", NAMESPACE, "--wait=false")


if __name__ == "__main__":
    main()

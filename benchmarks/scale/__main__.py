"""`python -m benchmarks.scale`: a burst on a sleeping queue, ours and KEDA side by side on the kind cluster.

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

from tests.cluster import keda
from tests.cluster.handles import load
from tests.kube.chart import Chart
from tests.kube.kubectl import Kubectl
from tests.kube.redis_server import RedisServer
from tests.kube.view import View

from benchmarks.report import machine, publish
from benchmarks.scale.fleet import Came, measure
from benchmarks.scale.peer import await_look, deployment, scaled_object
from benchmarks.scale.simulated import Simulated, simulate
from streamqueue.api.spec import Scaling
from streamqueue.simulate.fleet import Law
from streamqueue.simulate.laws import KedaConfig, KedaLaw, StreamQueueLaw

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


def side_by_side(kubectl: Kubectl, kubeconfig: str, tasks: int, seconds: float) -> dict[str, Came]:
    """Both fleets through the burst and back to nothing, in a namespace that is made for it."""
    kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    server = RedisServer(kubectl, "redis")
    server.create()
    redis, view = server.wait(), View(kubeconfig, NAMESPACE)
    kubectl.apply(queue())
    like = view.eventually(lambda: view.get("deployments", OURS), 60, "the queue has its Deployment") or {}
    view.eventually(
        lambda: (view.get("streamqueues", OURS) or {}).get("status", {}).get("reason") == "Idle", 60, "the queue sleeps"
    )
    kubectl.apply(deployment(PEER, like))
    redis.xgroup_create(PEER, GROUP, "0", mkstream=True)
    kubectl.apply(scaled_object(PEER, NAMESPACE, GROUP, PER_REPLICA, REPLICAS))
    await_look(redis, PEER)  # the first is at once
    await_look(redis, PEER)
    time.sleep(HALF_A_POLL)
    began = burst(redis, tasks, seconds)
    for stream in (OURS, PEER):
        view.eventually(partial(all_done, redis, stream, tasks), COOLED, f"{stream}: all done")
        print(f"{stream}: all done after {time.monotonic() - began:.0f} s", flush=True)
    for stream, label in LABELS.items():
        view.eventually(partial(gone, view, label), COOLED, f"{stream}: no pod left")
        print(f"{stream}: no pod after {time.monotonic() - began:.0f} s", flush=True)
    return {
        stream: measure(redis, view, stream, GROUP, pods(view, label), REPLICAS, began)
        for stream, label in LABELS.items()
    }


def all_done(redis: Any, stream: str, tasks: int) -> bool:
    """Every task has a result."""
    return int(redis.xlen(f"{{{stream}}}:g:{GROUP}:results")) >= tasks


def gone(view: View, label: tuple[str, str]) -> bool:
    return not view.all("pods", dict([label]))


def simulations(came: dict[str, Came], tasks: int, seconds: float) -> dict[str, Simulated]:
    """Both laws on the same burst in the simulator, with the cold starts that were seen."""
    laws: dict[str, Law] = {
        OURS: StreamQueueLaw(Scaling(max_replicas=REPLICAS, target_backlog=PER_REPLICA)),
        PEER: KedaLaw(KedaConfig(target=PER_REPLICA, max_replicas=REPLICAS)),
    }
    return {name: simulate(law, tasks, seconds, came[name].cold_start, HALF_A_POLL) for name, law in laws.items()}


def table(
    came: dict[str, Came], played: dict[str, Simulated], tasks: int, seconds: float, loads: tuple[float, float]
) -> str:
    ours, peer = came[OURS], came[PEER]
    our_play, peer_play = played[OURS], played[PEER]
    rows = [
        (f"first task to {REPLICAS} ready replicas", _seconds(ours.ready), _seconds(peer.ready)),
        ("first task to the last one done", _seconds(ours.drained), _seconds(peer.drained)),
        ("wait, median", _seconds(ours.p50_wait), _seconds(peer.p50_wait)),
        ("wait, p95", _seconds(ours.p95_wait), _seconds(peer.p95_wait)),
        ("pod-seconds until then", f"{ours.pod_seconds:.0f}", f"{peer.pod_seconds:.0f}"),
        ("first task to no pod left", _seconds(ours.zero), _seconds(peer.zero)),
        ("pod-seconds until no pod is left", f"{ours.pod_seconds_to_zero:.0f}", f"{peer.pod_seconds_to_zero:.0f}"),
        ("tasks started more than once", str(ours.started_twice), str(peer.started_twice)),
        ("a pod's start, median", _seconds(ours.cold_start), _seconds(peer.cold_start)),
    ]
    simulated = [
        ("first task to the last one done", _seconds(our_play.drained), _seconds(peer_play.drained)),
        ("wait, median", _seconds(our_play.p50_wait), _seconds(peer_play.p50_wait)),
        ("wait, p95", _seconds(our_play.p95_wait), _seconds(peer_play.p95_wait)),
        ("pod-seconds until then", f"{our_play.pod_seconds:.0f}", f"{peer_play.pod_seconds:.0f}"),
    ]
    heads = [f"| | StreamQueue | KEDA {keda.VERSION} with HPA |", "|---|---:|---:|"]
    lines = [
        f"# 0 to {REPLICAS} replicas, side by side",
        "",
        f"{machine()}, shared by the operator, KEDA, Redis, a whole kind cluster, the benchmark and up to "
        f"{2 * REPLICAS} worker pods; load average {loads[0]:.1f} at the start, {loads[1]:.1f} at the end.",
        "",
        f"{tasks} tasks of {seconds:g} s come at once to a sleeping queue: {tasks * seconds:.0f} s of work. Both are "
        f"told {PER_REPLICA} tasks a replica and at most {REPLICAS} replicas, run the same pods and keep their other "
        "defaults. KEDA is its own program, built from its module, with the lag trigger (polling 30 s, cooldown "
        "300 s) and the cluster's HPA (sync 15 s, window 300 s); the burst comes half-way between two of its polls.",
        "",
        *heads,
        *(f"| {name} | {one} | {other} |" for name, one, other in rows),
        "",
        "The same burst as `streamqueue simulate` plays it, with these starts of pods:",
        "",
        *heads,
        *(f"| {name} | {one} | {other} |" for name, one, other in simulated),
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
    keda.install(handles)
    try:
        before = os.getloadavg()[0]
        came = side_by_side(kubectl, handles.kubeconfig, arguments.tasks, arguments.seconds)
        loads = (before, os.getloadavg()[0])
    finally:
        kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found")
        keda.uninstall(handles)
    played = simulations(came, arguments.tasks, arguments.seconds)
    text = table(came, played, arguments.tasks, arguments.seconds, loads)
    figures = {fleet: asdict(each) | {"simulated": asdict(played[fleet])} for fleet, each in came.items()}
    publish("scale", text, {"machine": machine(), "load": list(loads), **figures})


if __name__ == "__main__":
    main()

"""`python -m benchmarks.wake`: from XADD to a queue at zero, to its Deployment patched, on the kind cluster.

The clock runs from the answer to XADD until a watch of the API server shows the new count. Pods never start: none fits
their node selector, so that what is measured is the operator and not the kubelet. Tasks are done by the benchmark.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from typing import Any

from tests.cluster.handles import load
from tests.kube.chart import Chart
from tests.kube.kubectl import Kubectl
from tests.kube.redis_server import RedisServer
from tests.kube.view import View

from benchmarks.report import machine, publish

NAMESPACE = "streamqueue-bench-wake"
GOAL = 50.0  # ms, p99
BATCH = 100  # queues applied at once
REST = 1.5  # seconds at zero before each wake: what the last one set in motion is over, and the queue is listened to


def queue(number: int) -> dict[str, Any]:
    return {
        "apiVersion": "streamqueue.dev/v1alpha1",
        "kind": "StreamQueue",
        "metadata": {"name": f"idle-{number}"},
        "spec": {
            "redis": {"url": "redis://redis:6379/0"},
            "stream": f"idle-{number}",
            "group": "workers",
            "handler": {"image": "streamqueue/examples:dev"},
            "scaling": {"maxReplicas": 1, "targetBacklog": 1, "scaleDown": {"delay": "0s"}},
            "template": {"spec": {"nodeSelector": {"benchmark": "no-such-node"}}},
        },
    }


def fill(kubectl: Kubectl, view: View, have: int, count: int) -> None:
    """Have `count` queues that sleep."""
    for start in range(have, count, BATCH):
        kubectl.apply(*(queue(number) for number in range(start, min(start + BATCH, count))))
        print(f"  {min(start + BATCH, count)} of {count} queues applied", flush=True)
    view.eventually(
        lambda: all(_sleeps(view, f"idle-{number}") for number in range(count)), 900, f"{count} queues sleep"
    )


def _sleeps(view: View, name: str) -> bool:
    body, deployment = view.get("streamqueues", name), view.get("deployments", name)
    status = body.get("status", {}) if body else {}
    idle = status.get("reason") == "Idle" and status.get("replicas") == 0
    return idle and bool(deployment) and deployment["spec"]["replicas"] == 0  # type: ignore[index]


def wake(redis: Any, view: View, name: str) -> float:
    """Milliseconds from a task's addition until the Deployment asks for a pod; the queue is at rest before."""
    view.eventually(lambda: _sleeps(view, name), 120, f"{name} sleeps")
    view.eventually(lambda: not view.all("pods", workers(name)), 60, f"{name} has no pods")
    time.sleep(REST)
    redis.xadd(name, {"task": "wake"})
    added = time.monotonic()
    view.eventually(lambda: _replicas(view, name), 30, f"{name} wakes")
    patched = next(when for when, body in view.seen("deployments", name) if when >= added and body["spec"]["replicas"])
    ((_, ((entry, _),)),) = redis.xreadgroup("workers", "benchmark", {name: ">"}, count=1)
    redis.xack(name, "workers", entry)
    return (patched - added) * 1000


def workers(name: str) -> dict[str, str]:
    """The labels of a queue's worker pods; those of its CronJob come and go as they like."""
    return {"streamqueue.dev/queue": name, "app.kubernetes.io/component": "worker"}


def _replicas(view: View, name: str) -> int:
    deployment = view.get("deployments", name)
    return deployment["spec"]["replicas"] if deployment else 0


def measure(redis: Any, view: View, count: int, samples: int) -> dict[str, float]:
    waits = sorted(wake(redis, view, f"idle-{sample % count}") for sample in range(samples))
    return {
        "idle queues": count,
        "samples": samples,
        "load": os.getloadavg()[0],
        "p50": statistics.median(waits),
        "p99": waits[max(0, -(-samples * 99 // 100) - 1)],
        "max": waits[-1],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--queues", default="1,100,1000", help="idle queues, a run for each")
    parser.add_argument("--samples", type=int, default=40)
    arguments = parser.parse_args()
    handles = load()
    kubectl = Kubectl(handles.kubectl, handles.kubeconfig, NAMESPACE)
    Chart(handles.helm, kubectl).install()
    kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    server = RedisServer(kubectl, "redis", cpu="250m")
    server.create()
    redis, view = server.wait(), View(handles.kubeconfig, NAMESPACE)
    rows, have = [], 0
    for count in map(int, arguments.queues.split(",")):
        print(f"{count} idle queues", flush=True)
        fill(kubectl, view, have, count)
        have = count
        rows.append(measure(redis, view, count, arguments.samples))
        publish("wake", table(rows), {"machine": machine(), "rows": rows})
    kubectl("delete", "namespace", NAMESPACE, "--wait=false")


def table(rows: list[dict[str, float]]) -> str:
    lines = [
        "# From XADD on a sleeping queue to its Deployment patched",
        "",
        f"{machine()}, shared by the operator, Redis, a whole kind cluster and the benchmark. Goal: p99 {GOAL:.0f} ms.",
        "Load: processes that wanted a processor, by the average of the run's last minute.",
        "",
        "| idle queues | samples | load | p50, ms | p99, ms | max, ms | goal |",
        "|---:|---:|---:|---:|---:|---:|---|",
    ]
    for row in rows:
        goal = "met" if row["p99"] <= GOAL else "missed"
        lines.append(
            f"| {row['idle queues']} | {row['samples']} | {row['load']:.1f} | {row['p50']:.0f} | {row['p99']:.0f} "
            f"| {row['max']:.0f} | {goal} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()

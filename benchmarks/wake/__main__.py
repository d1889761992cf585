"""`python -m benchmarks.wake`: from XADD to a queue at zero, to its Deployment patched, on the kind cluster.

The clock runs from the answer to XADD until a watch of the API server shows the new count. Pods never start: none fits
their node selector, so that what is measured is the operator and not the kubelet. Tasks are done by the benchmark.

Between the wakes the benchmark scales a Deployment of its own from zero, seen by the same watch: what the API server
alone takes.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from typing import Any

from kubernetes import client, config
from tests.cluster.handles import load
from tests.kube.chart import Chart
from tests.kube.kubectl import Kubectl
from tests.kube.redis_server import RedisServer
from tests.kube.view import View

from benchmarks.report import machine, publish

NAMESPACE = "streamqueue-bench-wake"
GOAL = 50.0  # ms, p99
BATCH = 100  # queues applied at once
CALM = 35.0  # seconds without a change of any queue: longer than an idle queue is left alone
REST = 1.5  # seconds at zero before each wake: what the last one set in motion is over, and the queue is listened to


SELECTOR = {"benchmark": "no-such-node"}
BARE = "bare"


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
            "template": {"spec": {"nodeSelector": SELECTOR}},
        },
    }


def bare_deployment() -> dict[str, Any]:
    labels = {"app": BARE}
    pod = {"nodeSelector": SELECTOR, "containers": [{"name": "c", "image": "streamqueue/examples:dev"}]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": BARE},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }


def fill(kubectl: Kubectl, view: View, have: int, count: int) -> None:
    """Have `count` queues that sleep, and an operator that has written all it had to of them."""
    for start in range(have, count, BATCH):
        kubectl.apply(*(queue(number) for number in range(start, min(start + BATCH, count))))
        print(f"  {min(start + BATCH, count)} of {count} queues applied", flush=True)
    view.eventually(
        lambda: all(_sleeps(view, f"idle-{number}") for number in range(count)), 900, f"{count} queues sleep"
    )
    view.eventually(lambda: time.monotonic() - view.last_change("streamqueues") > CALM, 300, "nothing changes")


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
    patched = _patched(view, name, added)
    ((_, ((entry, _),)),) = redis.xreadgroup("workers", "benchmark", {name: ">"}, count=1)
    redis.xack(name, "workers", entry)
    return (patched - added) * 1000


def bare(api: client.AppsV1Api, view: View) -> float:
    """Milliseconds from a PATCH by a client that is connected until the watch shows it; at rest before."""
    view.eventually(lambda: not view.all("pods", {"app": BARE}), 60, f"{BARE} has no pods")
    time.sleep(REST)
    began = time.monotonic()
    api.patch_namespaced_deployment_scale(BARE, NAMESPACE, {"spec": {"replicas": 1}})
    view.eventually(lambda: _replicas(view, BARE), 30, f"{BARE} is scaled")
    took = _patched(view, BARE, began) - began
    api.patch_namespaced_deployment_scale(BARE, NAMESPACE, {"spec": {"replicas": 0}})
    return took * 1000


def _patched(view: View, name: str, after: float) -> float:
    return next(when for when, body in view.seen("deployments", name) if when >= after and body["spec"]["replicas"])


def workers(name: str) -> dict[str, str]:
    """The labels of a queue's worker pods; those of its CronJob come and go as they like."""
    return {"streamqueue.dev/queue": name, "app.kubernetes.io/component": "worker"}


def _replicas(view: View, name: str) -> int:
    deployment = view.get("deployments", name)
    return deployment["spec"]["replicas"] if deployment else 0


def measure(redis: Any, api: client.AppsV1Api, view: View, count: int, samples: int) -> dict[str, float]:
    waits, bares = [], []
    for sample in range(samples):
        waits.append(wake(redis, view, f"idle-{sample % count}"))
        bares.append(bare(api, view))
    return {
        "idle queues": count,
        "samples": samples,
        "load": os.getloadavg()[0],
        "p50": statistics.median(waits),
        "p99": _p99(waits),
        "max": max(waits),
        "bare p50": statistics.median(bares),
        "bare p99": _p99(bares),
    }


def _p99(values: list[float]) -> float:
    return sorted(values)[max(0, -(-len(values) * 99 // 100) - 1)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--queues", default="1,100,1000", help="idle queues, a run for each")
    parser.add_argument("--samples", type=int, default=100)
    arguments = parser.parse_args()
    handles = load()
    kubectl = Kubectl(handles.kubectl, handles.kubeconfig, NAMESPACE)
    Chart(handles.helm, kubectl).install()
    kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    server = RedisServer(kubectl, "redis", cpu="250m")
    server.create()
    redis, view = server.wait(), View(handles.kubeconfig, NAMESPACE)
    kubectl.apply(bare_deployment())
    config.load_kube_config(handles.kubeconfig)
    api = client.AppsV1Api()
    rows, have = [], 0
    for count in map(int, arguments.queues.split(",")):
        print(f"{count} idle queues", flush=True)
        fill(kubectl, view, have, count)
        have = count
        rows.append(measure(redis, api, view, count, arguments.samples))
        publish("wake", table(rows), {"machine": machine(), "rows": rows})
    kubectl("delete", "namespace", NAMESPACE, "--wait=false")


def table(rows: list[dict[str, float]]) -> str:
    lines = [
        "# From XADD on a sleeping queue to its Deployment patched",
        "",
        f"{machine()}, shared by the operator, Redis, a whole kind cluster and the benchmark. Goal: p99 {GOAL:.0f} ms.",
        "Load: processes that wanted a processor, by the average of the run's last minute. Bare: a PATCH of a",
        "Deployment's scale by a client that is connected already, in turn with the wakes and seen by the same watch.",
        "",
        "| idle queues | samples | load | p50, ms | p99, ms | max, ms | bare p50, ms | bare p99, ms | goal |",
        "|---:|---:|---:|---:|---:|---:|---:|---:|---|",
    ]
    for row in rows:
        goal = "met" if row["p99"] <= GOAL else "missed"
        lines.append(
            f"| {row['idle queues']} | {row['samples']} | {row['load']:.1f} | {row['p50']:.0f} | {row['p99']:.0f} "
            f"| {row['max']:.0f} | {row['bare p50']:.0f} | {row['bare p99']:.0f} | {goal} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()

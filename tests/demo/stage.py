"""Sets the scene: the operator by its chart, a Redis, the queue of `examples/llm`, all on the test cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from examples.llm.producer import TRACE

from tests.cluster.handles import Handles
from tests.kube.chart import Chart
from tests.kube.kubectl import Kubectl
from tests.kube.redis_server import reach, service

EXAMPLE = TRACE.parent
NAMESPACE = "streamqueue-demo"
QUEUE = "inference"
STREAM = "inference"
GROUP = "workers"
RESULTS = f"{{{STREAM}}}:results"
DOOR = "redis-from-outside"


class Stage:
    """What is on the cluster, and a Redis client from outside."""

    def __init__(self, handles: Handles) -> None:
        self.kubectl = Kubectl(handles.kubectl, handles.kubeconfig, NAMESPACE)
        self.chart = Chart(handles.helm, self.kubectl)

    def set(self) -> Any:
        """Install and apply everything; returns the Redis client once the queue is ready."""
        self.chart.install()
        self.kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
        self._apply("redis.yaml")
        self.kubectl("rollout", "status", "deployment/redis", "--timeout=120s")
        self.kubectl.apply(service(DOOR, "redis"))
        redis = reach(self.kubectl, DOOR)
        self._empty(redis)
        self._apply("queue.yaml")
        self.kubectl("wait", "--for=condition=Ready", f"streamqueue/{QUEUE}", "--timeout=60s")
        return redis

    def target_wait(self) -> str:
        """What the queue asks for, as it is written."""
        return str(self.kubectl.get("streamqueue", QUEUE)["spec"]["scaling"]["targetWait"])

    def _empty(self, redis: Any) -> None:
        """A former run's queue and keys go, so that this one counts its own tasks; nothing else is touched."""
        self.kubectl("delete", "streamqueue", QUEUE, "--ignore-not-found")
        pods = f"--selector=streamqueue.dev/queue={QUEUE}"
        self.kubectl("wait", "--for=delete", "pod", pods, "--timeout=90s")
        former = [STREAM, *redis.scan_iter(match=f"{{{STREAM}}}:*", count=1000)]
        redis.delete(*former)

    def _apply(self, name: str) -> None:
        self.kubectl("apply", f"--filename={Path(EXAMPLE) / name}")

"""One StreamQueue in a test: its object, its tasks and what became of them."""

from __future__ import annotations

import secrets
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

from tests.kube.kubectl import Kubectl
from tests.kube.redis_server import RedisServer
from tests.kube.view import Body, View, is_ready

IMAGE = "streamqueue/examples:dev"
SDK_IMAGE = "streamqueue/documents:dev"  # one of the examples' that has the SDK
QUEUE_LABEL = "streamqueue.dev/queue"
FAULTS = "/app/examples/faults/handler.py"
ECHO = """
from streamqueue import Worker
worker = Worker()
@worker.task
def handle(task):
    return {"n": task["n"]}
worker.run()
"""


class Queue:
    """`spec` starts with short times, so that a test sees in seconds what users see in minutes."""

    def __init__(self, kubectl: Kubectl, view: View, server: RedisServer, client: Any, name: str, **spec: Any) -> None:
        self.kubectl, self.view, self.client, self.name = kubectl, view, client, name
        self.spec: dict[str, Any] = {
            "redis": {"url": server.url},
            "stream": name,
            "group": "workers",
            "handler": {"image": IMAGE, "timeout": "5s"},
            "delivery": {"visibilityTimeout": "10s"},
            "scaling": {"maxReplicas": 3, "targetBacklog": 5, "scaleDown": {"delay": "5s"}},
            "template": worker_command(FAULTS),
            **spec,
        }
        self.stream, self.group = self.spec["stream"], self.spec["group"]

    @property
    def body(self) -> dict[str, Any]:
        return {
            "apiVersion": "streamqueue.dev/v1alpha1",
            "kind": "StreamQueue",
            "metadata": {"name": self.name},
            "spec": self.spec,
        }

    def apply(self) -> Queue:
        self.kubectl.apply(self.body)
        return self

    def delete(self) -> None:
        self.kubectl("delete", "streamqueue", self.name, "--timeout=30s")

    def add(self, count: int = 1, **fields: str) -> list[str]:
        """Tasks with these fields, as a plain producer adds them; their ids."""
        return [str(self.client.xadd(self.stream, {"n": str(n), **fields})) for n in range(count)]

    def let_go(self, key: str) -> None:
        """Let the tasks end that were added with `until=key`."""
        self.client.set(key, "1")

    @property
    def results_key(self) -> str:
        return f"{{{self.stream}}}:g:{self.group}:results"

    def results(self) -> list[dict[str, str]]:
        """One row per run that ended in an acknowledgement."""
        return [row for _, row in self.client.xrange(self.results_key)]

    def starts(self) -> list[dict[str, str]]:
        """One row per run, however it ended: task and worker."""
        return [row for _, row in self.client.xrange(f"{{{self.stream}}}:starts")]

    def await_results(self, ids: list[str], timeout: float) -> None:
        """Return once every one of these tasks has a result."""
        missing, last, deadline = set(ids), "0", time.monotonic() + timeout
        while missing:
            left = deadline - time.monotonic()
            if left <= 0:
                raise AssertionError(
                    f"{self.name}: {len(missing)} of {len(ids)} tasks without result after {timeout} s"
                )
            block = max(1, int(min(left, 2) * 1000))
            for _, rows in self.client.xread({self.results_key: last}, block=block) or []:
                missing -= {row["task"] for _, row in rows}
                last = rows[-1][0]

    def pending(self) -> int:
        return int(self.client.xpending(self.stream, self.group)["pending"])

    def dead_letters(self) -> list[dict[str, str]]:
        return [row for _, row in self.client.xrange(f"{{{self.stream}}}:g:{self.group}:dlq")]

    @property
    def status(self) -> Body:
        body = self.view.get("streamqueues", self.name) or {}
        return dict(body.get("status", {}))

    def condition(self, kind: str) -> Body:
        """The condition of this type; empty where there is none."""
        return next((each for each in self.status.get("conditions", []) if each["type"] == kind), {})

    def await_condition(self, kind: str, status: str, reason: str | None = None, timeout: float = 60) -> Body:
        """Return the condition once it has this status and, if given, this reason."""

        def holds() -> Body | None:
            found = self.condition(kind)
            return found if found.get("status") == status and reason in (None, found["reason"]) else None

        return self.view.eventually(holds, timeout, f"{self.name}: {kind}={status}/{reason}") or {}

    def events(self, reason: str) -> list[Body]:
        """The events of this reason on this queue."""
        return [
            event
            for event in self.view.all("events", {})
            if event["involvedObject"]["name"] == self.name and event["reason"] == reason
        ]

    def await_event(self, reason: str, timeout: float = 30) -> Body:
        return self.view.eventually(lambda: self.events(reason), timeout, f"{self.name}: event {reason}")[0]

    @property
    def deployment(self) -> Body | None:
        return self.view.get("deployments", self.name)

    @property
    def replicas(self) -> int:
        """`spec.replicas` of its Deployment, 0 without one."""
        return int(self.deployment["spec"]["replicas"]) if self.deployment else 0

    def peak(self) -> int:
        """The most replicas its Deployment ever had."""
        return max((body["spec"]["replicas"] for _, body in self.view.seen("deployments", self.name)), default=0)

    def pods(self) -> list[Body]:
        """Its worker pods that exist."""
        return self.view.all("pods", {QUEUE_LABEL: self.name, "app.kubernetes.io/component": "worker"})

    def ready_pods(self) -> list[Body]:
        return [pod for pod in self.pods() if is_ready(pod)]

    def await_ready_pods(self, count: int, timeout: float = 90) -> list[Body]:
        def enough() -> list[Body]:
            found = self.ready_pods()
            return found if len(found) >= count else []

        return self.view.eventually(enough, timeout, f"{self.name}: {count} pods ready")

    def await_zero(self, timeout: float = 90) -> None:
        """Return once no worker pod is wanted and none exists."""
        self.view.eventually(lambda: self.replicas == 0 and not self.pods(), timeout, f"{self.name}: at zero pods")

    def reclaim(self) -> str:
        """Run the queue's CronJob once, now; what it said."""
        job = f"{self.name}-now-{secrets.token_hex(2)}"
        self.kubectl("create", "job", job, f"--from=cronjob/{self.name}-reclaim")
        self.kubectl("wait", "--for=condition=complete", f"job/{job}", "--timeout=90s")
        return self.kubectl("logs", f"job/{job}").stdout

    def belongings(self) -> list[str]:
        """What there is on the cluster that this queue brought with it."""
        kinds = ("deployments", "cronjobs", "jobs", "serviceaccounts", "poddisruptionbudgets", "pods")
        return [
            f"{kind}/{body['metadata']['name']}"
            for kind in kinds
            for body in self.view.all(kind, {QUEUE_LABEL: self.name})
        ]

    def busy_pod(self) -> str | None:
        """The name of a pod that holds a task now."""
        names = {pod["metadata"]["name"] for pod in self.pods()}
        consumers = self.client.xinfo_consumers(self.stream, self.group)
        return next((each["name"] for each in consumers if each["pending"] and each["name"] in names), None)

    def await_busy_pod(self, timeout: float = 60) -> str:
        return self.view.eventually(self.busy_pod, timeout, f"{self.name}: a busy pod") or ""


def worker_command(*arguments: str, **container: Any) -> Mapping[str, Any]:
    """The pod template overlay that runs Python with these: a script of the image, or `-c` and a program."""
    return {"spec": {"containers": [{"name": "handler", "command": ["python3", *arguments], **container}]}}


def await_arrival(view: View, client: Any, stream: str, ids: list[str], timeout: float) -> None:
    """Return once results of all these tasks are in the next stream, each once."""
    view.eventually(lambda: client.xlen(stream) >= len(ids), timeout, f"{stream}: {len(ids)} results")
    came = Counter(fields["sq-id"] for _, fields in client.xrange(stream))
    assert came == dict.fromkeys(ids, 1), "a result came twice, or never"

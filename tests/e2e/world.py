"""What every e2e test works with: the cluster, the operator on it, a namespace of this run's own."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from tests.e2e.queue import QUEUE_LABEL, Queue
from tests.kube.chart import Chart
from tests.kube.kubectl import Kubectl
from tests.kube.redis_server import RedisServer
from tests.kube.view import View


@dataclass
class World:
    """`figures` are printed at the end of the session; `strangers` are operator pods of another release."""

    kubectl: Kubectl
    chart: Chart
    view: View
    server: RedisServer
    figures: list[str] = field(default_factory=list)
    strangers: set[str] = field(default_factory=set)

    @cached_property
    def redis(self) -> Any:
        """A client of the server that most tests share."""
        return self.server.wait()

    def queue(self, name: str, server: RedisServer | None = None, client: Any = None, **spec: Any) -> Queue:
        """A queue that isn't applied yet; on the shared server, unless told otherwise."""
        return Queue(self.kubectl, self.view, server or self.server, client or self.redis, name, **spec)

    def secret(self, name: str, **values: str) -> None:
        """Create or change a Secret."""
        self.kubectl.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": values})

    def metric(self, name: str, queue: Queue) -> float:
        """`streamqueue_NAME` of this queue, over the operator's pods."""
        total, operator = 0.0, self.chart.operator
        for pod in operator.get("pods", f"--selector={self.chart.selector}")["items"]:
            path = f"/api/v1/namespaces/{operator.namespace}/pods/{pod['metadata']['name']}:8080/proxy/metrics"
            text = self.kubectl("get", "--raw", path, check=False).stdout
            for labels, value in re.findall(rf"^streamqueue_{name}\{{(.*)\}} (.*)$", text, re.MULTILINE):
                if f'namespace="{queue.kubectl.namespace}"' in labels and f'"{queue.name}"' in labels:
                    total += float(value)
        return total

    def assert_untold(self, passwords: Iterable[str], queues: Iterable[Queue]) -> None:
        """Neither the operator's log nor objects, events and logs of these queues show a password."""
        told = [self.chart.log(), json.dumps(self.kubectl.get("streamqueues,events"))]
        for queue in queues:
            ours = f"--selector={QUEUE_LABEL}={queue.name}"
            told.append(json.dumps(self.kubectl.get("deployments,cronjobs,jobs,pods", ours)))
            told.append(self.kubectl("logs", ours, "--all-containers", "--tail=-1", check=False).stdout)
        for password in passwords:
            assert not [number for number, text in enumerate(told) if password in text], "a password is shown"

    def note(self, figure: str) -> None:
        """A measurement worth reading after the session."""
        self.figures.append(figure)

    def report(self) -> str:
        """What to look at when a test failed."""
        parts = [
            self.kubectl("get", "streamqueues,deployments,pods,cronjobs,jobs", "--output=wide", check=False).stdout,
            self.kubectl("describe", "streamqueues", check=False).stdout,
            self.kubectl("get", "events", "--sort-by=.lastTimestamp", check=False).stdout,
            self.chart.log(300),
            self.kubectl(
                "logs", f"--selector={QUEUE_LABEL}", "--prefix", "--tail=20", "--max-log-requests=200", check=False
            ).stdout,
        ]
        return "\n".join(parts)

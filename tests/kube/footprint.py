"""What the operator costs: memory as the kubelet measures it, image size as the node holds it."""

from __future__ import annotations

import json
from dataclasses import dataclass

from tests.kube.chart import NAMESPACE, Chart

OPERATOR_IMAGE = "streamqueue/operator:dev"
MIB = 1 << 20


@dataclass(frozen=True)
class Footprint:
    """Both in bytes."""

    rss: int
    image: int

    def __str__(self) -> str:
        return f"{self.rss / MIB:.0f} MiB resident, image {self.image / MIB:.0f} MiB"


def footprint(chart: Chart) -> Footprint:
    """Of the operator that runs now; where several do, of the largest."""
    node = chart.kubectl.get("nodes")["items"][0]
    name = node["metadata"]["name"]
    summary = json.loads(chart.kubectl("get", "--raw", f"/api/v1/nodes/{name}/proxy/stats/summary").stdout)
    memory = [
        container["memory"]["rssBytes"]
        for pod in summary["pods"]
        if pod["podRef"]["namespace"] == NAMESPACE
        for container in pod["containers"]
    ]
    sizes = [
        image["sizeBytes"]
        for image in node["status"]["images"]
        if any(OPERATOR_IMAGE in known for known in image["names"])
    ]
    return Footprint(max(memory), max(sizes))

"""Facts for doctor, healthy unless told otherwise. Bodies are as the API server of the test cluster shows them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from streamqueue.api import timestamps
from streamqueue.api.parse import parse_spec
from streamqueue.cli.doctor.checks import diagnose
from streamqueue.cli.doctor.facts import ClusterFacts, Facts, StreamFacts
from streamqueue.cli.doctor.finding import Finding
from streamqueue.streams import ConsumerView, LagRule, Snapshot
from streamqueue.streams.durability import Durability
from streamqueue.streams.entries import Entry
from streamqueue.streams.pending_entries import PendingEntry

Body = dict[str, Any]

STARTED = "2026-01-01T00:00:00Z"
NOW = timestamps.epoch(STARTED) + 3600
POD = "orders-6b7f9c5d4-abcde"
OTHER_POD = "orders-6b7f9c5d4-fghij"
IMAGE = "registry.example/orders:1"
CRASH = {
    "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 40s restarting"}},
    "lastState": {"terminated": {"exitCode": 3, "reason": "Error"}},
    "restartCount": 4,
}


def rfc3339(ago: float) -> str:
    """A time `ago` seconds before NOW."""
    return timestamps.rfc3339(NOW - ago)


def spec(**blocks: Any) -> Body:
    return {
        "redis": {"url": "redis://redis:6379/0"},
        "stream": "orders",
        "group": "workers",
        "handler": {"image": IMAGE},
        "scaling": {"maxReplicas": 4},
        **blocks,
    }


def queue(raw: Body | None = None, **status: Any) -> Body:
    return {
        "metadata": {
            "name": "orders",
            "namespace": "shop",
            "generation": 2,
            "creationTimestamp": STARTED,
            "managedFields": [
                {"manager": "kubectl-client-side-apply", "operation": "Update", "time": rfc3339(600)},
                {"manager": "streamqueue-status", "operation": "Apply", "time": rfc3339(5), "subresource": "status"},
            ],
        },
        "spec": raw or spec(),
        "status": {"observedGeneration": 2, "desiredReplicas": 2, "conditions": [], **status},
    }


def condition(kind: str, status: str, reason: str, message: str = "said") -> Body:
    return {"type": kind, "status": status, "reason": reason, "message": message}


def pod(
    name: str = POD,
    *,
    ready_for: float | None = 600,
    container: Body | None = None,
    unplaced: str = "",
    image: str = IMAGE,
) -> Body:
    conditions = [{"type": "PodScheduled", "status": "True"}]
    if unplaced:
        conditions = [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": unplaced}]
    elif ready_for is not None:
        conditions += [{"type": "Ready", "status": "True", "lastTransitionTime": rfc3339(ready_for)}]
    handler = {"name": "handler", "image": image, "state": {}, **(container or {})}
    return {
        "metadata": {"name": name, "creationTimestamp": STARTED},
        "spec": {"containers": [{"name": "handler", "image": image}]},
        "status": {"conditions": conditions, "containerStatuses": [handler]},
    }


def lease(renewed_ago: float = 1, holder: str = "streamqueue-1") -> Body:
    return {
        "metadata": {"name": "streamqueue-operator", "namespace": "streamqueue-system"},
        "spec": {"holderIdentity": holder, "leaseDurationSeconds": 8, "renewTime": rfc3339(renewed_ago)},
    }


def cluster(**given: Any) -> ClusterFacts:
    defaults: Body = {"queue": queue(), "pods": (pod(), pod(OTHER_POD)), "leases": (lease(),)}
    return ClusterFacts(**defaults | given)


def snapshot(**given: Any) -> Snapshot:
    defaults: Body = {
        "time": NOW,
        "stream_exists": True,
        "group_exists": True,
        "length": 10,
        "groups": 1,
        "lag_rule": LagRule.DRAINED,
        "consumers": (ConsumerView(POD, 0, 1.0), ConsumerView(OTHER_POD, 0, 1.0)),
        "consumers_total": 2,
        "last_delivered_id": "10-0",
        "dead_letters": 0,
    }
    return Snapshot(**defaults | given)


def stream(**given: Any) -> StreamFacts:
    found = given.pop("snapshot", None) or snapshot()
    defaults: Body = {
        "snapshot": found,
        "later": found,
        "server": Durability("noeviction", True),
        "tail": tuple(Entry(f"{n}-0", {}) for n in range(1, 11)),
    }
    return StreamFacts(**defaults | given)


def held(entry_id: str, consumer: str = POD, idle: float = 1.0) -> PendingEntry:
    return PendingEntry(entry_id, consumer.encode(), int(idle * 1000), int((NOW - idle) * 1000), 1)


def letter(entry_id: str, task: str, cause: str) -> Entry:
    return Entry(entry_id, {b"sq-id": task.encode(), b"sq-cause": cause.encode()})


def facts(**given: Any) -> Facts:
    in_cluster = given.get("cluster", cluster())
    defaults: Body = {
        "again": "orders",
        "now": NOW,
        "cluster": in_cluster,
        "spec": parse_spec(in_cluster.queue["spec"]) if in_cluster else parse_spec(spec()),
        "stream": stream(),
    }
    return replace(Facts(again="orders", now=NOW), **defaults | given)


def only(given: Facts) -> Finding:
    """The one finding."""
    (finding,) = diagnose(given)
    return finding

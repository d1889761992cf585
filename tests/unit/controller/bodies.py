"""A queue, and objects as the API server shows them, cut to what the operator reads; and the operator's settings."""

from __future__ import annotations

from typing import Any

from streamqueue.api.spec import Handler, QueueSpec, Redis
from streamqueue.controller.cluster.store import Holdings, Key, Store
from streamqueue.controller.kinds import Body
from streamqueue.controller.settings import Settings
from streamqueue.manifests.labels import QUEUE

CREATED = "2026-01-01T00:00:00Z"
SETTINGS = Settings.from_env({"STREAMQUEUE_IMAGE": "streamqueue/operator:dev"})
KEY: Key = ("shop", "orders")  # of the queue
SPEC = QueueSpec(Redis(url="redis://r"), "orders", "workers", Handler("image"))


def holdings(store: Store) -> Holdings:
    """The queue's."""
    found = store.get(KEY)
    assert found is not None
    return found


def _metadata(name: str, uid: str, version: int, **more: Any) -> Body:
    return {"name": name, "namespace": "shop", "uid": uid, "resourceVersion": str(version), **more}


def queue(name: str = "orders", uid: str = "q1", version: int = 1, **more: Any) -> Body:
    metadata = _metadata(name, uid, version, generation=1, creationTimestamp=CREATED)
    return {"kind": "StreamQueue", "metadata": metadata, "spec": {}, **more}


def owned(
    kind: str, owner: str = "orders", uid: str = "o1", version: int = 1, controller: bool = True, **more: Any
) -> Body:
    reference = {"kind": "StreamQueue", "name": owner, "uid": "q1", "controller": controller}
    return {"kind": kind, "metadata": _metadata(owner, uid, version, generation=1, ownerReferences=[reference]), **more}


def pod(name: str = "orders-6b7f9-abcde", uid: str = "p1", version: int = 1, **status: Any) -> Body:
    replica_set = {"kind": "ReplicaSet", "name": "orders-6b7f9", "uid": "r1", "controller": True}
    labels, owners = {QUEUE: "orders"}, [replica_set]
    metadata = _metadata(name, uid, version, labels=labels, creationTimestamp=CREATED, ownerReferences=owners)
    return {"kind": "Pod", "metadata": metadata, "status": status}


def condition(kind: str, status: str, reason: str = "", message: str = "") -> Body:
    return {"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": CREATED}


def container(name: str = "handler", **states: Any) -> Body:
    return {"name": name, **states}

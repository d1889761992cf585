"""Labels and annotations that the operator's objects carry, and its owner references."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from streamqueue.api.template import COMPONENT, MANAGED_BY

API_VERSION = "streamqueue.dev/v1alpha1"
KIND = "StreamQueue"

QUEUE = "streamqueue.dev/queue"
MANAGER = "streamqueue"
WORKER = "worker"
RECLAIM = "reclaim"
OPERATOR = "operator"

# Server-side filters of the operator's watches.
OWNED_SELECTOR = f"{MANAGED_BY}={MANAGER}"
WORKERS_SELECTOR = f"{OWNED_SELECTOR},{COMPONENT}={WORKER}"
# Each release has a Lease of a name of its own: these labels find them all.
LEASE_LABELS = {MANAGED_BY: MANAGER, COMPONENT: OPERATOR}
LEASES_SELECTOR = f"{OWNED_SELECTOR},{COMPONENT}={OPERATOR}"

TEMPLATE_VERSION_ANNOTATION = "streamqueue.dev/template-version"
GENERATION_ANNOTATION = "streamqueue.dev/generation"
SECRET_HASH_ANNOTATION = "streamqueue.dev/secret-hash"  # noqa: S105
PLACE_HASH_ANNOTATION = "streamqueue.dev/place-hash"


@dataclass(frozen=True, slots=True)
class Owner:
    """The StreamQueue that an object belongs to."""

    name: str
    namespace: str
    uid: str
    generation: int


def queue_labels(owner: Owner) -> dict[str, str]:
    """What every owned object carries, and every pod."""
    return {QUEUE: owner.name, MANAGED_BY: MANAGER}


def selector_labels(owner: Owner) -> dict[str, str]:
    """The worker pods of a queue. A Deployment's selector cannot change: neither may this, in any version."""
    return {QUEUE: owner.name, COMPONENT: WORKER}


def selector(owner: Owner) -> str:
    """The same, as a query: what the scale subresource shows."""
    return ",".join(f"{name}={value}" for name, value in selector_labels(owner).items())


def metadata(owner: Owner, name: str, annotations: dict[str, str] | None = None) -> dict[str, Any]:
    """Metadata of an owned object.

    `blockOwnerDeletion` is false: true would need the right to update the queue's finalizers, and hold up its deletion.
    """
    reference = {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "name": owner.name,
        "uid": owner.uid,
        "controller": True,
        "blockOwnerDeletion": False,
    }
    return {
        "name": name,
        "namespace": owner.namespace,
        "labels": queue_labels(owner),
        **({"annotations": annotations} if annotations else {}),
        "ownerReferences": [reference],
    }

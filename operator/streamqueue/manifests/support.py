"""What stands beside a queue's Deployment: its identity and its protection during node drains."""

from __future__ import annotations

from typing import Any

from streamqueue.manifests import labels
from streamqueue.manifests.labels import Owner


def service_account(owner: Owner) -> dict[str, Any]:
    """An identity without rights, for people to bind their own to. Workers get no token of it."""
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": labels.metadata(owner, owner.name),
        "automountServiceAccountToken": False,
    }


def disruption_budget(owner: Owner) -> dict[str, Any]:
    """At most half the workers leave at once, and a broken one never holds up a drain."""
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": labels.metadata(owner, owner.name),
        "spec": {
            "maxUnavailable": "50%",
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
            "selector": {"matchLabels": labels.selector_labels(owner)},
        },
    }

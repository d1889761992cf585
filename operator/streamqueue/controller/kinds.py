"""The kinds of Kubernetes objects that the operator touches, and their paths in the API."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Body = dict[str, Any]  # an object, as the API has it


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind: `group` is empty for the core API."""

    group: str
    version: str
    plural: str
    kind: str

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str | None, name: str | None = None, subresource: str | None = None) -> str:
        """The request path; without `namespace` it spans all of them."""
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        parts = [root, f"namespaces/{namespace}" if namespace else None, self.plural, name, subresource]
        return "/".join(part for part in parts if part)


STREAM_QUEUES = Kind("streamqueue.dev", "v1alpha1", "streamqueues", "StreamQueue")
DEPLOYMENTS = Kind("apps", "v1", "deployments", "Deployment")
CRON_JOBS = Kind("batch", "v1", "cronjobs", "CronJob")
DISRUPTION_BUDGETS = Kind("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget")
SERVICE_ACCOUNTS = Kind("", "v1", "serviceaccounts", "ServiceAccount")
PODS = Kind("", "v1", "pods", "Pod")
SECRETS = Kind("", "v1", "secrets", "Secret")
EVENTS = Kind("", "v1", "events", "Event")
LEASES = Kind("coordination.k8s.io", "v1", "leases", "Lease")

# What a queue owns, in the order of creation: the Deployment last, when all that its pods need is there.
OWNED = (SERVICE_ACCOUNTS, DISRUPTION_BUDGETS, CRON_JOBS, DEPLOYMENTS)
WATCHED = (STREAM_QUEUES, *OWNED, PODS)

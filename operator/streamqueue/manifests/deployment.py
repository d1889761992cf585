"""The Deployment that runs a queue's workers."""

from __future__ import annotations

from typing import Any

from streamqueue.api.spec import Protocol, QueueSpec
from streamqueue.api.template import HANDLER, PROTECTED
from streamqueue.manifests import labels
from streamqueue.manifests.environment import metrics_port, worker_environment
from streamqueue.manifests.fingerprints import Fingerprints
from streamqueue.manifests.grace import grace_period
from streamqueue.manifests.http import arrange, http_containers, sidecar_overlay
from streamqueue.manifests.image import OperatorImage
from streamqueue.manifests.labels import Owner
from streamqueue.manifests.overlay import merge_overlay
from streamqueue.manifests.redis import identity_labels, mounts, volumes, worker_files
from streamqueue.manifests.security import WITHOUT_PRIVILEGES

# Raise it with every change to what is derived into the pod template: fleets move only when their spec does, or at
# zero, so that an upgrade of the operator restarts none.
TEMPLATE_VERSION = "5"

# How long a node that is lost has to come back. Kubernetes alone gives it five minutes, in which nobody works in its
# pods' stead.
_UNTIL_REPLACED = 30  # seconds
_LOST = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")


def deployment(
    owner: Owner, spec: QueueSpec, *, replicas: int, secrets: Fingerprints | None, runner: OperatorImage
) -> dict[str, Any]:
    """The whole object, for a server-side apply.

    `secrets` tells pods of changed Redis Secrets, where there are any.
    `runner` is used with protocol http alone.
    """
    annotations = {
        labels.TEMPLATE_VERSION_ANNOTATION: _version(spec, runner),
        labels.GENERATION_ANNOTATION: str(owner.generation),
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": labels.metadata(owner, owner.name, annotations),
        "spec": {
            "replicas": replicas,
            "paused": False,  # by `kubectl rollout pause` no change of the spec would reach the pods any more
            "selector": {"matchLabels": labels.selector_labels(owner)},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": "25%"}},
            "revisionHistoryLimit": 2,
            "template": _template(owner, spec, secrets, runner),
        },
    }


def _version(spec: QueueSpec, runner: OperatorImage) -> str:
    """What the template was derived by; the runner's image changes with the operator, too."""
    if spec.handler.protocol is Protocol.HTTP:
        return f"{TEMPLATE_VERSION} {runner.name} {runner.pull_policy}"
    return TEMPLATE_VERSION


def _template(owner: Owner, spec: QueueSpec, secrets: Fingerprints | None, runner: OperatorImage) -> dict[str, Any]:
    if spec.handler.protocol is Protocol.HTTP:
        overlay = sidecar_overlay(spec.template)
        return arrange(merge_overlay(_pod(owner, spec, secrets, http_containers(spec, runner)), overlay), overlay)
    return merge_overlay(_pod(owner, spec, secrets, {"containers": [_worker(spec)]}), spec.template)


def _pod(owner: Owner, spec: QueueSpec, secrets: Fingerprints | None, containers: dict[str, Any]) -> dict[str, Any]:
    return {
        "metadata": {
            "labels": {**labels.queue_labels(owner), **labels.selector_labels(owner), **identity_labels(spec)},
            "annotations": {**PROTECTED, **(secrets.annotations(spec) if secrets else {})},
        },
        "spec": {
            "serviceAccountName": owner.name,
            "automountServiceAccountToken": False,
            "restartPolicy": "Always",
            "terminationGracePeriodSeconds": grace_period(spec.handler),
            "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
            # No readiness probe: the ReplicaSet removes unready pods first, so readiness must never mean "busy".
            "tolerations": _tolerations(spec),
            **containers,
            **volumes(worker_files(spec)),
        },
    }


def _tolerations(spec: QueueSpec) -> list[dict[str, Any]]:
    """But for taints that the overlay has a word on: of two tolerations Kubernetes goes by the shorter."""
    given = (spec.template.get("spec") or {}).get("tolerations")
    chosen = [each.get("key") for each in given if isinstance(each, dict)] if isinstance(given, list) else []
    shared = {"operator": "Exists", "effect": "NoExecute", "tolerationSeconds": _UNTIL_REPLACED}
    return [{"key": key, **shared} for key in _LOST if key not in chosen]


def _worker(spec: QueueSpec) -> dict[str, Any]:
    return {
        "name": HANDLER,
        "image": spec.handler.image,
        "env": worker_environment(spec),
        "securityContext": WITHOUT_PRIVILEGES,
        **mounts(worker_files(spec)),
        **metrics_port(spec.handler),
    }

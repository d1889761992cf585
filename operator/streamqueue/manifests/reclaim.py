"""The CronJob that returns abandoned work: the net below the controller."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from streamqueue.api.render import render_spec
from streamqueue.api.spec import QueueSpec, Scaling
from streamqueue.api.template import COMPONENT
from streamqueue.manifests import labels
from streamqueue.manifests.environment import literal, redis_environment
from streamqueue.manifests.image import OperatorImage
from streamqueue.manifests.labels import Owner
from streamqueue.manifests.redis import by_token, ca_files, identity_labels, mounts, volumes
from streamqueue.manifests.security import UNPRIVILEGED, UNPRIVILEGED_USER


@dataclass(frozen=True, slots=True)
class ReclaimPods:
    """What the chart's values say of the CronJobs' pods."""

    placement: Mapping[str, Any] = field(default_factory=dict)  # fields of a pod's spec: the nodes that it may run on
    resources: Mapping[str, Any] = field(default_factory=dict)  # of the container


def cron_job_name(owner: Owner) -> str:
    return f"{owner.name}-reclaim"


def cron_job(
    owner: Owner, spec: QueueSpec, *, image: OperatorImage, pods: ReclaimPods, suspended: bool
) -> dict[str, Any]:
    """The whole object, for a server-side apply.

    `suspended` is the controller's word: nothing waits or pends.
    """
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": labels.metadata(owner, cron_job_name(owner)),
        "spec": {
            "schedule": spec.reclaim.schedule or f"{minute_offset(owner.uid)}-59/5 * * * *",
            "suspend": suspended or spec.reclaim.suspend,
            "concurrencyPolicy": "Replace",  # on a node that is lost a run never ends
            "startingDeadlineSeconds": 10,  # on a wake, resumed: a run that was missed while suspended stays missed
            "successfulJobsHistoryLimit": 1,
            "failedJobsHistoryLimit": 1,
            "jobTemplate": {
                "metadata": {"labels": _pod_labels(owner)},
                "spec": {
                    "activeDeadlineSeconds": 240,
                    "backoffLimit": 0,
                    "ttlSecondsAfterFinished": 600,
                    "template": {
                        "metadata": {"labels": {**_pod_labels(owner), **identity_labels(spec)}},
                        "spec": {**_pod(owner, spec, image, pods.resources), **pods.placement},
                    },
                },
            },
        },
    }


def minute_offset(uid: str) -> int:
    """0 to 4: ten thousand queues must not start ten thousand pods in the same minute."""
    return hashlib.sha256(uid.encode()).digest()[0] % 5


def _pod_labels(owner: Owner) -> dict[str, str]:
    return {**labels.queue_labels(owner), COMPONENT: labels.RECLAIM}


def _service_account(owner: Owner, spec: QueueSpec) -> str:
    """With tokens for passwords, that of the workers: it is who may log in to Redis."""
    chosen = _template(spec).get("serviceAccountName")
    return chosen if chosen and by_token(spec) else owner.name


def _pull_secrets(spec: QueueSpec) -> dict[str, Any]:
    """Those of the workers: a private registry may hold our image too."""
    secrets = _template(spec).get("imagePullSecrets")
    return {"imagePullSecrets": secrets} if secrets else {}


def _template(spec: QueueSpec) -> dict[str, Any]:
    return spec.template.get("spec") or {}


def _pod(owner: Owner, spec: QueueSpec, image: OperatorImage, resources: Mapping[str, Any]) -> dict[str, Any]:
    # Scaling and the template are no matter of reclaim, and a template's env may hold what no other object should.
    reduced = json.dumps(render_spec(replace(spec, scaling=Scaling(), template={})), sort_keys=True)
    return {
        "restartPolicy": "Never",
        "serviceAccountName": _service_account(owner, spec),
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        **_pull_secrets(spec),
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": UNPRIVILEGED_USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [
            {
                "name": "reclaim",
                "image": image.name,
                "imagePullPolicy": image.pull_policy,
                "command": ["python3", "-m", "streamqueue.maintenance"],
                "env": [*redis_environment(spec), literal("STREAMQUEUE_SPEC", reduced)],
                "resources": resources,
                "securityContext": UNPRIVILEGED,
                **mounts(ca_files(spec)),
            }
        ],
        **volumes(ca_files(spec)),
    }

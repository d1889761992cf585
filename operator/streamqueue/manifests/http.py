"""A worker pod with `handler.protocol: http`: the runner reads the stream, the handler is a sidecar that it posts to.

The handler is a native sidecar (an init container that always restarts), since the kubelet stops those after the other
containers: on SIGTERM the runner finishes its tasks while the handler still answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from streamqueue.api.spec import QueueSpec
from streamqueue.api.template import HANDLER, RUNNER
from streamqueue.manifests.environment import literal, metrics_port, runner_environment
from streamqueue.manifests.image import OperatorImage
from streamqueue.manifests.redis import mounts, worker_files
from streamqueue.manifests.security import UNPRIVILEGED, UNPRIVILEGED_USER, WITHOUT_PRIVILEGES

LONGEST_START = 600  # seconds until a handler that does not listen is started anew; models take their time to load


def http_containers(spec: QueueSpec, image: OperatorImage) -> dict[str, Any]:
    """The pod's `initContainers` and `containers`."""
    return {"initContainers": [_handler(spec)], "containers": [_runner(spec, image)]}


def sidecar_overlay(overlay: Mapping[str, Any]) -> dict[str, Any]:
    """A template overlay whose container `handler` is laid over the sidecar of that name."""
    pod = dict(overlay.get("spec") or {})
    containers = pod.get("containers") or []
    handlers = [each for each in containers if each["name"] == HANDLER]
    if not handlers:
        return dict(overlay)
    pod["containers"] = [each for each in containers if each["name"] != HANDLER]
    pod["initContainers"] = [*(pod.get("initContainers") or []), *handlers]
    return {**overlay, "spec": pod}


def arrange(template: dict[str, Any], overlay: Mapping[str, Any]) -> dict[str, Any]:
    """The merged template with the handler behind the init containers that prepare for it, and with one startup
    probe: the overlay's, if it brings one.
    """
    pod = template["spec"]
    others = [each for each in pod["initContainers"] if each["name"] != HANDLER]
    handler = next(each for each in pod["initContainers"] if each["name"] == HANDLER)
    given = [each for each in (overlay.get("spec") or {}).get("initContainers") or [] if each["name"] == HANDLER]
    for each in given:
        if "startupProbe" in each:
            handler = handler | {"startupProbe": each["startupProbe"]}
    return template | {"spec": pod | {"initContainers": [*others, handler]}}


def _handler(spec: QueueSpec) -> dict[str, Any]:
    port = spec.handler.port
    return {
        "name": HANDLER,
        "image": spec.handler.image,
        "restartPolicy": "Always",
        # Neither Redis nor its password: the runner alone needs them.
        "env": [literal("PORT", str(port))],
        "ports": [{"name": "handler", "containerPort": port, "protocol": "TCP"}],
        "startupProbe": {"tcpSocket": {"port": port}, "periodSeconds": 1, "failureThreshold": LONGEST_START},
        "securityContext": WITHOUT_PRIVILEGES,
    }


def _runner(spec: QueueSpec, image: OperatorImage) -> dict[str, Any]:
    return {
        "name": RUNNER,
        "image": image.name,
        "imagePullPolicy": image.pull_policy,
        "command": ["python3", "-m", "streamqueue.worker.http"],
        "env": runner_environment(spec),
        "resources": {"requests": {"cpu": "10m", "memory": "64Mi"}},
        "securityContext": {**UNPRIVILEGED, "runAsNonRoot": True, "runAsUser": UNPRIVILEGED_USER},
        **mounts(worker_files(spec)),
        **metrics_port(spec.handler),
    }

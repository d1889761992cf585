"""The peer: a Deployment of the same pods, scaled by KEDA and the cluster's own HPA."""

from __future__ import annotations

import copy
from typing import Any

from tests.kube.redis_server import PORT
from tests.kube.view import Body


def deployment(name: str, like: Body) -> Body:
    """As the operator's own Deployment `like`, but for its names: the stream is called `name`, too."""
    labels = {"app": name}
    pod = copy.deepcopy(like["spec"]["template"]["spec"])
    for variable in pod["containers"][0]["env"]:
        if variable["name"] == "STREAMQUEUE_STREAM":
            variable["value"] = name
    template = {"metadata": {"labels": labels}, "spec": pod}
    spec = {"replicas": 0, "selector": {"matchLabels": labels}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


def scaled_object(name: str, namespace: str, group: str, per_replica: int, replicas: int) -> Body:
    """So many waiting entries a replica; everything else is KEDA's default."""
    trigger = {
        "address": f"redis.{namespace}.svc:{PORT}",
        "stream": name,
        "consumerGroup": group,
        "lagCount": str(per_replica),
    }
    return {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": {"name": name},
        "spec": {
            "scaleTargetRef": {"name": name},
            "maxReplicaCount": replicas,
            "triggers": [{"type": "redis-streams", "metadata": trigger}],
        },
    }


def await_look(redis: Any, stream: str) -> None:
    """Return when somebody asks the server for the groups of this stream."""
    with redis.monitor() as monitor:
        for command in monitor.listen():
            if command["command"].upper().startswith("XINFO GROUPS") and command["command"].split()[-1] == stream:
                return

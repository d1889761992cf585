"""What a pod needs to reach its queue's Redis, beside variables: the CA as a file, and an identity."""

from __future__ import annotations

from typing import Any

from streamqueue.api.spec import Redis, RedisAuth

CA_FOLDER = "/etc/streamqueue/redis-ca"
CA_FILE = f"{CA_FOLDER}/ca.crt"

_VOLUME = "streamqueue-redis-ca"


def ca_volume(redis: Redis) -> dict[str, Any]:
    """Fields of the pod's spec."""
    if redis.ca_secret_ref is None:
        return {}
    items = [{"key": redis.ca_secret_ref.key, "path": "ca.crt"}]
    return {"volumes": [{"name": _VOLUME, "secret": {"secretName": redis.ca_secret_ref.name, "items": items}}]}


def ca_mount(redis: Redis) -> dict[str, Any]:
    """Fields of each container that talks to Redis."""
    if redis.ca_secret_ref is None:
        return {}
    return {"volumeMounts": [{"name": _VOLUME, "mountPath": CA_FOLDER, "readOnly": True}]}


def identity_labels(redis: Redis) -> dict[str, str]:
    """Azure's webhook gives an identity to pods that ask for one."""
    return {"azure.workload.identity/use": "true"} if redis.auth is RedisAuth.ENTRA else {}

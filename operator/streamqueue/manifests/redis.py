"""What a pod needs to reach its queue's endpoints, beside variables: their CAs as files, and an identity."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from streamqueue.api.spec import QueueSpec, RedisAuth, SecretKey


@dataclass(frozen=True, slots=True)
class CaFile:
    """Where the CA of one endpoint is mounted."""

    volume: str
    folder: str

    @property
    def path(self) -> str:
        return f"{self.folder}/ca.crt"


OWN_CA = CaFile("streamqueue-redis-ca", "/etc/streamqueue/redis-ca")
NEXT_CA = CaFile("streamqueue-next-redis-ca", "/etc/streamqueue/next-redis-ca")


def ca_volumes(spec: QueueSpec) -> dict[str, Any]:
    """Fields of the pod's spec."""
    volumes = [
        {"name": ca.volume, "secret": {"secretName": secret.name, "items": [{"key": secret.key, "path": "ca.crt"}]}}
        for ca, secret in _trusted(spec)
    ]
    return {"volumes": volumes} if volumes else {}


def ca_mounts(spec: QueueSpec) -> dict[str, Any]:
    """Fields of each container that talks to Redis."""
    mounts = [{"name": ca.volume, "mountPath": ca.folder, "readOnly": True} for ca, _ in _trusted(spec)]
    return {"volumeMounts": mounts} if mounts else {}


def identity_labels(spec: QueueSpec) -> dict[str, str]:
    """Azure's webhook gives an identity to pods that ask for one."""
    return {"azure.workload.identity/use": "true"} if by_token(spec) else {}


def by_token(spec: QueueSpec) -> bool:
    """Whether the pods log in somewhere with tokens for passwords."""
    return any(redis.auth is RedisAuth.ENTRA for redis in spec.endpoints)


def _trusted(spec: QueueSpec) -> Iterator[tuple[CaFile, SecretKey]]:
    for ca, redis in zip((OWN_CA, NEXT_CA), spec.endpoints, strict=False):
        if redis.ca_secret_ref:
            yield ca, redis.ca_secret_ref

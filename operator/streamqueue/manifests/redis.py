"""What a pod needs to reach its queue's endpoints, beside variables: CAs and URLs as files, and an identity."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from streamqueue.api.spec import Protocol, QueueSpec, Redis, RedisAuth, SecretKey


@dataclass(frozen=True, slots=True)
class SecretFile:
    """Where a key of a Secret is mounted."""

    volume: str
    folder: str
    name: str

    @property
    def path(self) -> str:
        return f"{self.folder}/{self.name}"


@dataclass(frozen=True, slots=True)
class Names:
    """What an endpoint's things are called in a pod. Variables begin with `prefix`."""

    prefix: str
    ca: SecretFile
    url: SecretFile


OWN = Names(
    "STREAMQUEUE_REDIS",
    SecretFile("streamqueue-redis-ca", "/etc/streamqueue/redis-ca", "ca.crt"),
    SecretFile("streamqueue-redis-url", "/etc/streamqueue/redis-url", "url"),
)
NEXT = Names(
    "STREAMQUEUE_NEXT_REDIS",
    SecretFile("streamqueue-next-redis-ca", "/etc/streamqueue/next-redis-ca", "ca.crt"),
    SecretFile("streamqueue-next-redis-url", "/etc/streamqueue/next-redis-url", "url"),
)

Mounted = Iterable[tuple[SecretFile, SecretKey]]


def endpoints(spec: QueueSpec) -> Iterator[tuple[Names, Redis]]:
    return zip((OWN, NEXT), spec.endpoints, strict=False)


def rereads(spec: QueueSpec) -> bool:
    """Whether the workers read the URLs of Secrets anew by themselves: ours do, plain loops know a variable alone."""
    return spec.handler.protocol is not Protocol.REDIS


def ca_files(spec: QueueSpec) -> Mounted:
    """For every pod that talks to Redis."""
    return [(names.ca, redis.ca_secret_ref) for names, redis in endpoints(spec) if redis.ca_secret_ref]


def worker_files(spec: QueueSpec) -> Mounted:
    """For the container that reads the stream."""
    urls = [(names.url, redis.secret_ref) for names, redis in endpoints(spec) if redis.secret_ref]
    return [*ca_files(spec), *(urls if rereads(spec) else [])]


def volumes(files: Mounted) -> dict[str, Any]:
    """Fields of the pod's spec."""
    found = [
        {"name": file.volume, "secret": {"secretName": secret.name, "items": [{"key": secret.key, "path": file.name}]}}
        for file, secret in files
    ]
    return {"volumes": found} if found else {}


def mounts(files: Mounted) -> dict[str, Any]:
    """Fields of the container. Whole folders: the kubelet renews no file that is mounted by itself."""
    found = [{"name": file.volume, "mountPath": file.folder, "readOnly": True} for file, _ in files]
    return {"volumeMounts": found} if found else {}


def identity_labels(spec: QueueSpec) -> dict[str, str]:
    """Azure's webhook gives an identity to pods that ask for one."""
    return {"azure.workload.identity/use": "true"} if by_token(spec) else {}


def by_token(spec: QueueSpec) -> bool:
    """Whether the pods log in somewhere with tokens for passwords."""
    return any(redis.auth is RedisAuth.ENTRA for redis in spec.endpoints)

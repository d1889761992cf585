"""Redis endpoints: one client for any number of queues, and the URLs behind Secrets.

A URL may hold a password. It leaves this module only inside a client; everything else sees `Endpoint.id`, a hash.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import math
import time
from dataclasses import dataclass, field

from redis.asyncio import Redis as Client

from streamqueue.api.spec import Redis, SecretKey
from streamqueue.controller.addresses import as_pods_see_it
from streamqueue.controller.kinds import SECRETS
from streamqueue.controller.kube import Kube, KubeError
from streamqueue.controller.skew import Skew
from streamqueue.streams.connection import connect
from streamqueue.streams.durability import Durability
from streamqueue.streams.errors import ProblemKind, RedisProblem

# A rotated Secret is picked up within this time, or at once when the old password is refused.
SECRET_TTL = 30.0  # seconds
UNUSED_TTL = 600.0  # seconds


class NoEndpoint(Exception):
    """The queue's `redis` block leads nowhere; `reason` is a condition's."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


@dataclass(slots=True)
class Endpoint:
    id: str  # one for each URL and Secret
    server: str  # hash of the URL; never leaves the process
    client: Client
    secret_hash: str | None  # tells worker pods of a changed Secret; None without one
    used: float = field(default_factory=time.monotonic)
    skew: Skew = field(default_factory=Skew)
    durability: Durability | None = None  # None: not read yet
    durability_read: float = -math.inf  # monotonic


@dataclass(frozen=True, slots=True)
class _Url:
    text: str
    read_at: float
    hash: str | None


class Endpoints:
    def __init__(self, kube: Kube) -> None:
        self._kube = kube
        self._by_id: dict[str, Endpoint] = {}
        self._secrets: dict[tuple[str, SecretKey], _Url] = {}

    async def resolve(self, namespace: str, redis: Redis) -> Endpoint:
        """The endpoint of a queue in this namespace; raises `NoEndpoint`, or `KubeError` when nobody can tell."""
        url = _Url(redis.url, 0.0, None) if redis.url else await self._read(namespace, redis.secret_ref)
        address = as_pods_see_it(url.text, namespace)
        server = hashlib.sha256(address.encode()).hexdigest()
        identity = f"{server}/{url.hash}"
        if identity not in self._by_id:
            try:
                self._by_id[identity] = Endpoint(identity, server, connect(address), url.hash)
            except RedisProblem as problem:
                raise NoEndpoint(problem.kind, f"{_where(redis)}: {problem}") from None
        endpoint = self._by_id[identity]
        endpoint.used = time.monotonic()
        return endpoint

    def forget(self, namespace: str, redis: Redis) -> None:
        """Read the Secret anew next time: its password was refused."""
        if redis.secret_ref:
            self._secrets.pop((namespace, redis.secret_ref), None)

    async def close_unused(self) -> None:
        for endpoint in list(self._by_id.values()):
            if time.monotonic() - endpoint.used > UNUSED_TTL:
                del self._by_id[endpoint.id]
                await endpoint.client.aclose()

    async def close(self) -> None:
        for endpoint in self._by_id.values():
            await endpoint.client.aclose()

    async def _read(self, namespace: str, reference: SecretKey | None) -> _Url:
        if reference is None:
            raise NoEndpoint(ProblemKind.BAD_URL, "spec.redis has neither url nor secretRef: set one of them")
        known = self._secrets.get((namespace, reference))
        if known and time.monotonic() - known.read_at < SECRET_TTL:
            return known
        try:
            secret = await self._kube.get(SECRETS, namespace, reference.name)
        except KubeError as error:
            if error.status == 403:
                message = f"the operator may not read Secret {reference.name} in namespace {namespace}: grant it get"
                raise NoEndpoint("SecretForbidden", message) from None
            raise
        if secret is None:
            message = f"spec.redis.secretRef: there is no Secret {reference.name} in namespace {namespace}: create it"
            raise NoEndpoint("SecretMissing", message)
        encoded = secret.get("data", {}).get(reference.key)
        if not encoded:
            message = f"spec.redis.secretRef: Secret {reference.name} has no key {reference.key}: add it"
            raise NoEndpoint("SecretMissing", message)
        text = base64.b64decode(encoded).decode(errors="replace").strip()
        same = known is not None and known.text == text
        digest = (
            known.hash if known and same else await asyncio.to_thread(_fingerprint, text, secret["metadata"]["uid"])
        )
        url = self._secrets[namespace, reference] = _Url(text, time.monotonic(), digest)
        return url


def _fingerprint(url: str, salt: str) -> str:
    """Shown on pods, where many may read it: a slow hash, so that no password can be guessed from it."""
    return hashlib.scrypt(url.encode(), salt=salt.encode(), n=2**14, r=8, p=1, dklen=16).hex()


def _where(redis: Redis) -> str:
    reference = redis.secret_ref
    return f"key {reference.key} of Secret {reference.name}" if reference else "spec.redis.url"

"""Redis endpoints: one client for any number of queues, and the URLs behind Secrets.

A URL may hold a password. It leaves this module only inside a client; everything else sees `Endpoint.id`, a hash.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import math
import time
from contextlib import suppress
from dataclasses import dataclass, field

from redis.asyncio import Redis as Client
from redis.exceptions import RedisError

from streamqueue.api.spec import Redis
from streamqueue.controller.cluster.kube import Kube, KubeError
from streamqueue.controller.endpoints.addresses import as_pods_see_it
from streamqueue.controller.endpoints.secrets import NoEndpoint, Secrets, Value
from streamqueue.controller.endpoints.skew import Skew
from streamqueue.controller.status.risks import steady
from streamqueue.controller.trouble import Trouble
from streamqueue.manifests import Fingerprints
from streamqueue.streams.connection import connect, credentials_for, read_url
from streamqueue.streams.durability import Durability, read_durability
from streamqueue.streams.errors import RedisProblem

log = logging.getLogger(__name__)

UNUSED_TTL = 600.0  # seconds
OWN, NEXT = "spec.redis", "spec.next.redis"  # the blocks that name endpoints


@dataclass(slots=True)
class Endpoint:
    id: str  # one for each URL and Secret
    server: str  # hash of where the URL leads, whoever logs in
    client: Client
    secrets: Fingerprints | None  # tells worker pods of changed Secrets; None without one
    used: float = field(default_factory=time.monotonic)
    skew: Skew = field(default_factory=Skew)
    durability: Durability | None = None  # None: not read yet
    durability_read: float = -math.inf  # monotonic

    async def look_after(self) -> None:
        """Ask whether this server may lose work."""
        try:
            self.durability = steady(self.durability, await read_durability(self.client))
        except RedisProblem as problem:
            log.debug("durability not read: %s", problem)  # the rounds say what is wrong with the server
            self.durability = None


class Endpoints:
    def __init__(self, kube: Kube) -> None:
        self._by_id: dict[str, Endpoint] = {}
        self._secrets = Secrets(kube)

    async def find(self, namespace: str, redis: Redis, block: str = OWN) -> Endpoint | Trouble:
        """The endpoint that `block` of a queue in this namespace leads to, or why it can't be had."""
        try:
            return await self.resolve(namespace, redis, block)
        except NoEndpoint as missing:
            return Trouble(missing.reason, missing.message)
        except KubeError as error:
            return Trouble("SecretUnreadable", f"the Secret that {block} names can't be read now: {error.reason}")

    async def resolve(self, namespace: str, redis: Redis, block: str = OWN) -> Endpoint:
        """The same; raises `NoEndpoint`, or `KubeError` when nobody can tell."""
        secret = trusted = None
        if redis.secret_ref:
            secret = await self._secrets.read(namespace, redis.secret_ref, f"{block}.secretRef")
        if redis.ca_secret_ref:
            trusted = await self._secrets.read(namespace, redis.ca_secret_ref, f"{block}.tls.caSecretRef")
        address = as_pods_see_it(secret.text if secret else redis.url or "", namespace)
        url = hashlib.sha256(address.encode()).hexdigest()
        identity = "/".join((url, redis.mode, redis.auth, *(value.hash for value in (secret, trusted) if value)))
        if identity not in self._by_id:
            client = _client(redis, address, trusted.text if trusted else None, block)
            fingerprints = _fingerprints(namespace, secret, trusted)
            self._by_id[identity] = Endpoint(identity, _server(address), client, fingerprints)
        endpoint = self._by_id[identity]
        endpoint.used = time.monotonic()
        return endpoint

    def forget(self, namespace: str, redis: Redis) -> None:
        """Read the Secrets anew next time: what they hold was refused."""
        for reference in (redis.secret_ref, redis.ca_secret_ref):
            if reference:
                self._secrets.forget(namespace, reference)

    async def close_unused(self) -> None:
        for endpoint in list(self._by_id.values()):
            if time.monotonic() - endpoint.used > UNUSED_TTL:
                del self._by_id[endpoint.id]
                await _close(endpoint)

    async def close(self) -> None:
        await self._secrets.close()
        await asyncio.gather(*map(_close, self._by_id.values()))


async def _close(endpoint: Endpoint) -> None:
    """A server that answers no more, not even a goodbye, is left after some seconds."""
    with suppress(RedisError, OSError):
        await endpoint.client.aclose()


def _client(redis: Redis, address: str, ca: str | None, block: str) -> Client:
    try:
        return connect(address, mode=redis.mode, ca_data=ca, credentials=credentials_for(redis.auth))
    except RedisProblem as problem:
        raise NoEndpoint(problem.kind, f"{_where(redis, block)}: {problem}") from None


def _server(url: str) -> str:
    """By this two queues on one stream are told, and they stay two while a password is rotated."""
    address = read_url(url)
    place = {"port": 6379, "db": 0} | address.settings
    found = (place.get("host"), place["port"], place["db"], address.service, sorted(address.sentinels))
    return hashlib.sha256(repr(found).encode()).hexdigest()


def _fingerprints(namespace: str, secret: Value | None, trusted: Value | None) -> Fingerprints | None:
    found = []
    if secret:
        # A fast hash will do, of what is no password.
        place = hashlib.sha256(f"{namespace}/{read_url(secret.text).place}".encode()).hexdigest()[:32]
        found.append(Fingerprints(secret.hash, place))
    if trusted:
        found.append(Fingerprints(trusted.hash, trusted.hash))
    return Fingerprints.of_all(found)


def _where(redis: Redis, block: str) -> str:
    reference = redis.secret_ref
    return f"key {reference.key} of Secret {reference.name}" if reference else f"{block}.url"

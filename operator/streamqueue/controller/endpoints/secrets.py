"""Values of Secrets, as queues name them: remembered for a while, and never shown."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import math
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from streamqueue.api.spec import SecretKey
from streamqueue.controller.cluster.kube import Kube, KubeError
from streamqueue.controller.kinds import SECRETS

# A rotated Secret is picked up within half a minute, or at once when the old password is refused.
TTL = 25.0  # seconds after which it is read anew, beside the looks: they don't wait for the API server
LATEST = 100.0  # seconds after which what was read says nothing any more


class NoEndpoint(Exception):
    """The queue's `redis` block leads nowhere; `reason` is a condition's."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


@dataclass(frozen=True, slots=True)
class Value:
    text: str
    read_at: float  # monotonic
    hash: str  # may be shown: no password can be guessed from it


class Secrets:
    def __init__(self, kube: Kube) -> None:
        self._kube = kube
        self._known: dict[tuple[str, SecretKey], Value] = {}
        self._renewing: dict[tuple[str, SecretKey], asyncio.Task[None]] = {}
        # One thread: each that has ever hashed keeps the 16 MiB that it took.
        self._hashing = ThreadPoolExecutor(1, "secrets")

    async def read(self, namespace: str, reference: SecretKey, field: str) -> Value:
        """The value that `field` of a queue names, such as spec.redis.secretRef.

        Raises `NoEndpoint`, or `KubeError` when nobody can tell.
        """
        place = namespace, reference
        known = self._known.get(place)
        age = time.monotonic() - known.read_at if known else math.inf
        if known is None or age >= LATEST:
            return await self._read(namespace, reference, field)
        if age >= TTL and place not in self._renewing:
            task = self._renewing[place] = asyncio.create_task(self._renew(namespace, reference, field))
            task.add_done_callback(lambda _: self._renewing.pop(place))
        return known

    async def close(self) -> None:
        renewing = list(self._renewing.values())
        for each in renewing:
            each.cancel()
        await asyncio.gather(*renewing, return_exceptions=True)

    async def _renew(self, namespace: str, reference: SecretKey, field: str) -> None:
        try:
            await self._read(namespace, reference, field)
        except NoEndpoint:
            self.forget(namespace, reference)  # the next look says what is wrong

    async def _read(self, namespace: str, reference: SecretKey, field: str) -> Value:
        known = self._known.get((namespace, reference))
        try:
            secret = await self._kube.get(SECRETS, namespace, reference.name)
        except KubeError as error:
            if error.status == 403:
                message = f"the operator may not read Secret {reference.name} in namespace {namespace}: grant it get"
                raise NoEndpoint("SecretForbidden", message) from None
            if known is None:
                raise
            # Secrets alone may be unreadable, as while their encryption's key service is away: what was read holds.
            value = self._known[namespace, reference] = replace(known, read_at=time.monotonic())
            return value
        if secret is None:
            message = f"{field}: there is no Secret {reference.name} in namespace {namespace}: create it"
            raise NoEndpoint("SecretMissing", message)
        encoded = secret.get("data", {}).get(reference.key)
        if not encoded:
            message = f"{field}: Secret {reference.name} has no key {reference.key}: add it"
            raise NoEndpoint("SecretMissing", message)
        text = base64.b64decode(encoded).decode(errors="replace").strip()
        if known and known.text == text:
            digest = known.hash
        else:
            loop = asyncio.get_running_loop()
            digest = await loop.run_in_executor(self._hashing, _fingerprint, text, secret["metadata"]["uid"])
        value = self._known[namespace, reference] = Value(text, time.monotonic(), digest)
        return value

    def forget(self, namespace: str, reference: SecretKey) -> None:
        """Read it anew next time. What has not changed keeps its hash: a wrong password is forgotten each second."""
        if known := self._known.get((namespace, reference)):
            self._known[namespace, reference] = replace(known, read_at=-math.inf)


def _fingerprint(text: str, salt: str) -> str:
    """Shown on pods, where many may read it: a slow hash, so that no password can be guessed from it."""
    return hashlib.scrypt(text.encode(), salt=salt.encode(), n=2**14, r=8, p=1, dklen=16).hex()

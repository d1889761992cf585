"""Secrets that are rotated under a running operator: picked up without a restart, by URL and by CA."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from streamqueue.api.spec import Redis as RedisSpec
from streamqueue.api.spec import SecretKey
from streamqueue.controller.cluster.kube import KubeError
from streamqueue.controller.endpoints import secrets
from streamqueue.controller.endpoints.endpoints import Endpoint, Endpoints
from streamqueue.controller.endpoints.secrets import NoEndpoint
from streamqueue.controller.trouble import Trouble
from streamqueue.streams import ProblemKind, Snapshot, connect
from tests.redis.connections import steps
from tests.redis.controller.namespace import Namespace
from tests.redis.servers import tls
from tests.redis.servers.process import RunningServer
from tests.redis.servers.tls import TlsServer
from tests.redis.worker.pod import until

# What is asked of the server here is AUTH and a handshake.
pytestmark = pytest.mark.on("redis-7.0", "valkey-9.1")

BY_SECRET = RedisSpec(secret_ref=SecretKey("redis", "url"))


async def say(endpoint: Endpoint) -> str:
    """`known`, or the kind of the problem."""
    answer = await steps.look(endpoint.client)
    return "known" if isinstance(answer, Snapshot) else answer.kind


def _read_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TTL", "LATEST"):
        monkeypatch.setattr(secrets, name, 0.0)


async def test_a_rotated_password_is_picked_up_once_the_old_one_is_refused(
    own_server: RunningServer, namespace: Namespace, endpoints: Endpoints
) -> None:
    async with connect(own_server.url) as admin:
        await admin.execute_command("ACL", "SETUSER", "app", "on", ">first", "~*", "+@all")
        namespace.secrets["redis"] = {"url": own_server.url.replace("://", "://app:first@")}
        before = await endpoints.resolve("shop", BY_SECRET)
        assert await say(before) == "known"
        namespace.secrets["redis"] = {"url": own_server.url.replace("://", "://app:second@")}
        await admin.execute_command("ACL", "SETUSER", "app", "resetpass", ">second")
        await admin.execute_command("CLIENT", "KILL", "USER", "app")
    assert await endpoints.resolve("shop", BY_SECRET) is before  # the Secret isn't read each time
    assert await say(before) == ProblemKind.AUTH
    endpoints.forget("shop", BY_SECRET)
    after = await endpoints.resolve("shop", BY_SECRET)
    assert await say(after) == "known"
    assert before.secrets and after.secrets
    assert after.secrets.whole != before.secrets.whole, "rolls plain loops"
    assert after.secrets.place == before.secrets.place, "our workers read it by themselves"


async def test_a_password_that_stays_wrong_is_hashed_once(
    own_server: RunningServer, namespace: Namespace, endpoints: Endpoints, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed: list[bytes] = []
    slow = hashlib.scrypt
    monkeypatch.setattr(hashlib, "scrypt", lambda text, **more: hashed.append(text) or slow(text, **more))
    namespace.secrets["redis"] = {"url": own_server.url.replace("://", "://app:wrong@")}
    for _ in range(3):
        assert await say(await endpoints.resolve("shop", BY_SECRET)) == ProblemKind.AUTH
        endpoints.forget("shop", BY_SECRET)
    assert len(hashed) == 1


async def test_a_rotated_secret_is_picked_up_while_the_old_one_works(
    shared_server: RunningServer, namespace: Namespace, endpoints: Endpoints, monkeypatch: pytest.MonkeyPatch
) -> None:
    _read_each_time(monkeypatch)
    namespace.secrets["redis"] = {"url": shared_server.url}
    before = await endpoints.resolve("shop", BY_SECRET)
    namespace.secrets["redis"] = {"url": f"{shared_server.url}\n"}  # as echo writes it: nothing changed
    assert await endpoints.resolve("shop", BY_SECRET) is before
    namespace.secrets["redis"] = {"url": shared_server.url.replace("/0", "/1")}
    after = await endpoints.resolve("shop", BY_SECRET)
    assert after is not before
    assert before.secrets and after.secrets
    assert after.secrets.place != before.secrets.place, "another database: no running worker follows there"


async def test_nobody_waits_for_a_secret_that_was_read_before(
    shared_server: RunningServer, namespace: Namespace, endpoints: Endpoints, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An API server that hangs, or is slow: all queues whose turn comes after this one's would wait with it."""
    namespace.secrets["redis"] = {"url": shared_server.url}
    before = await endpoints.resolve("shop", BY_SECRET)
    monkeypatch.setattr(secrets, "TTL", 0.0)
    namespace.answers.clear()
    for _ in range(3):
        assert await asyncio.wait_for(endpoints.resolve("shop", BY_SECRET), 5) is before

    namespace.secrets["redis"] = {"url": shared_server.url.replace("/0", "/1")}
    namespace.answers.set()

    async def is_another() -> bool:
        return await endpoints.resolve("shop", BY_SECRET) is not before

    await until(is_another, "it was read beside the looks")
    namespace.secrets = {}

    async def is_missed() -> bool:
        return isinstance(await endpoints.find("shop", BY_SECRET), Trouble)

    await until(is_missed, "so is that it was deleted")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("redis://app:first@redis:6379/0", "redis://app:second@redis:6379/0", True),
        ("redis://redis", "redis://app:second@redis:6379/0?socket_timeout=3", True),
        ("redis://redis/0", "redis://redis/1", False),
        ("redis://redis", "redis://redis-2", False),
        ("redis+sentinel://a,b/shop", "redis+sentinel://:pass@b,a/shop/0", True),
        ("redis+sentinel://a,b/shop", "redis+sentinel://a,b/stock", False),
    ],
)
async def test_it_is_one_server_whoever_logs_in(
    namespace: Namespace, endpoints: Endpoints, one: str, other: str, same: bool
) -> None:
    """Else, while a password is rotated, the younger of two queues on one stream takes it from the older."""
    namespace.secrets = {"one": {"url": one}, "other": {"url": other}}
    found = [
        await endpoints.resolve("shop", RedisSpec(secret_ref=SecretKey(name, "url"))) for name in namespace.secrets
    ]
    assert (found[0].server == found[1].server) is same
    assert found[0].id != found[1].id


async def test_what_was_read_holds_while_secrets_cant_be_read(
    shared_server: RunningServer, namespace: Namespace, endpoints: Endpoints, monkeypatch: pytest.MonkeyPatch
) -> None:
    _read_each_time(monkeypatch)
    namespace.failure = KubeError(500, "InternalError", "the key service is away")
    assert await endpoints.find("shop", BY_SECRET) == Trouble(
        "SecretUnreadable", "the Secret that spec.redis names can't be read now: InternalError"
    )
    namespace.failure, namespace.secrets["redis"] = None, {"url": shared_server.url}
    before = await endpoints.resolve("shop", BY_SECRET)
    namespace.failure = KubeError(500, "InternalError", "the key service is away")
    assert await endpoints.find("shop", BY_SECRET) is before
    endpoints.forget("shop", BY_SECRET)
    assert await endpoints.find("shop", BY_SECRET) is before
    namespace.failure = KubeError(403, "Forbidden", "no")
    assert isinstance(await endpoints.find("shop", BY_SECRET), Trouble), "the right to read it was taken away"
    namespace.failure, namespace.secrets = None, {}
    assert isinstance(await endpoints.find("shop", BY_SECRET), Trouble), "it was deleted"


async def test_the_ca_is_read_from_its_secret_and_anew_when_it_is_refused(
    tls_server: Callable[[str], TlsServer], namespace: Namespace, endpoints: Endpoints, tmp_path: Path
) -> None:
    running = tls_server("DNS:localhost")
    redis = RedisSpec(url=f"rediss://localhost:{running.port}", ca_secret_ref=SecretKey("ca", "ca.crt"))
    namespace.secrets["ca"] = {"ca.crt": tls.authority(tmp_path, "old-ca").read_text()}
    before = await endpoints.resolve("shop", redis)
    assert await say(before) == ProblemKind.TLS
    namespace.secrets["ca"] = {"ca.crt": running.ca.read_text()}
    endpoints.forget("shop", redis)
    after = await endpoints.resolve("shop", redis)
    assert await say(after) == "known"
    assert after.server == before.server and after.secrets and before.secrets
    assert after.secrets.whole != before.secrets.whole and after.secrets.place != before.secrets.place


@pytest.mark.parametrize(
    ("redis", "held", "says"),
    [
        (BY_SECRET, {}, "spec.redis.secretRef: there is no Secret redis"),
        (BY_SECRET, {"redis": {"uri": "redis://x"}}, "spec.redis.secretRef: Secret redis has no key url"),
        (RedisSpec(url="rediss://x", ca_secret_ref=SecretKey("ca", "pem")), {}, "spec.redis.tls.caSecretRef: there is"),
        (BY_SECRET, {"redis": {"url": "hunter2"}}, "key url of Secret redis: the Redis URL cannot be read"),
    ],
)
async def test_what_leads_nowhere_is_named(
    namespace: Namespace, endpoints: Endpoints, redis: RedisSpec, held: dict[str, dict[str, str]], says: str
) -> None:
    namespace.secrets = held
    with pytest.raises(NoEndpoint) as caught:
        await endpoints.resolve("shop", redis)
    assert caught.value.message.startswith(says)
    assert not isinstance(caught.value.__cause__ or caught.value.__context__, (ValueError, KeyError))
    assert "hunter2" not in f"{caught.value!r}{caught.value.__context__!r}"

"""An endpoint that nobody uses any more is closed; one that answers no more ends nothing but itself."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from streamqueue.api.spec import Redis as RedisSpec
from streamqueue.api.spec import SecretKey
from streamqueue.controller import loop as loop_module
from streamqueue.controller.endpoints import endpoints as module
from streamqueue.controller.endpoints.endpoints import Endpoints
from streamqueue.streams import Snapshot
from tests.redis.connections import steps
from tests.redis.controller.loops import KEY, loop_over, queue_on, running, store_of
from tests.redis.controller.namespace import Namespace
from tests.redis.proxy import Proxy
from tests.redis.servers.process import RunningServer
from tests.redis.servers.tls import TlsServer
from tests.redis.worker.pod import until

# What is asked of the server is a handshake.
pytestmark = pytest.mark.on("redis-7.0", "valkey-9.1")


async def test_a_server_behind_a_firewall_by_now_is_let_go(
    tls_server: Callable[[str], TlsServer],
    namespace: Namespace,
    endpoints: Endpoints,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """TLS says goodbye, and waits for an answer."""
    monkeypatch.setattr(module, "UNUSED_TTL", 0.0)
    running = tls_server("DNS:localhost")
    namespace.secrets["ca"] = {"ca.crt": running.ca.read_text()}
    async with Proxy(running.port) as proxy:
        port = proxy.url.removesuffix("/0").rpartition(":")[2]
        url = f"rediss://localhost:{port}"
        found = await endpoints.resolve("shop", RedisSpec(url=url, ca_secret_ref=SecretKey("ca", "ca.crt")))
        assert isinstance(await steps.look(found.client), Snapshot)
        proxy.silence()
        await endpoints.close_unused()
        assert await endpoints.resolve("shop", RedisSpec(url=url, ca_secret_ref=SecretKey("ca", "ca.crt"))) is not found


async def test_the_loop_lets_go_of_what_nobody_uses(
    shared_server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop_module, "HOUSEKEEPING", 0.0)
    monkeypatch.setattr(module, "UNUSED_TTL", 0.0)
    async with loop_over(store_of(queue_on(shared_server, scaling={"pollingInterval": "60s"}))) as loop, running(loop):
        await until(lambda: (runtime := loop.runtime(KEY)) and not runtime.fresh, "a round is over")
        await until(lambda: not loop._endpoints._by_id, "its endpoint is closed")

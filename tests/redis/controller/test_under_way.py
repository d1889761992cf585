"""What people do to a fleet while a round decides on it: the round's decision is no word on that."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp import web

from streamqueue.controller.cluster.store import Store
from streamqueue.controller.kinds import DEPLOYMENTS, PODS
from tests.kube.api import Awaited, taken
from tests.redis.controller.loops import loop_over, queue_on, running, store_of
from tests.redis.servers.process import RunningServer
from tests.unit.controller.bodies import Body, condition, owned, pod

# What is asked of the server is a look at an empty stream.
pytestmark = pytest.mark.on("redis-7.0", "valkey-9.1")

ASKED_FOR = 10  # workers, by hand


class ApiServer(Awaited):
    """Whose fleet is scaled by hand as it is asked to mark the first pod."""

    def __init__(self, store: Store) -> None:
        super().__init__()
        self._store = store
        self.written: list[int] = []  # counts

    async def handle(self, request: web.Request) -> web.Response:
        body: dict[str, Any] = await request.json()
        if "/pods/" in request.path:
            body = ready(request.path.rpartition("/")[2], version=2)
            self._store.show(DEPLOYMENTS, by_hand())
        if "/deployments/" in request.path:
            self.written.append(body["spec"]["replicas"])
            body["metadata"]["resourceVersion"] = "3"
            await self.told()
        return taken(body)


def by_hand() -> Body:
    return owned("Deployment", version=2, spec={"replicas": ASKED_FOR, "template": {"metadata": {}, "spec": {}}})


def ready(name: str, version: int = 1) -> Body:
    return pod(name, uid=name, version=version, conditions=[condition("Ready", "True")])


@pytest.mark.usefixtures("queue")
async def test_a_fleet_that_was_scaled_meanwhile_is_not_set_back(shared_server: RunningServer) -> None:
    """Of its new workers, which nobody has marked, any might go, at work or not."""
    scaling = {"replicas": 1, "pollingInterval": "200ms"}
    store = store_of(queue_on(shared_server, scaling=scaling), replicas=2)
    for name in ("orders-6b7f9-aaaaa", "orders-6b7f9-bbbbb"):
        store.show(PODS, ready(name))
    api = ApiServer(store)
    async with loop_over(store, api.handle) as loop, running(loop):
        await api.comes_to(lambda: bool(api.written))
    assert set(api.written) == {ASKED_FOR}

"""What a new leader begins with."""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web

from streamqueue.controller import __main__ as operator
from streamqueue.controller.kinds import DEPLOYMENTS, LEASES, STREAM_QUEUES
from streamqueue.controller.leader import Leader
from streamqueue.controller.server import Health
from streamqueue.controller.store import Store
from tests.kube.api import answered_by
from tests.unit.controller.bodies import SETTINGS, owned, queue


class ApiServer:
    """One queue. While the other one leads, which `release` ends, it scales the fleet, and our watch doesn't tell."""

    def __init__(self) -> None:
        self.holder, self.replicas = "other", 2
        self.applied: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self.waiting = asyncio.Event()

    def release(self) -> None:
        self.holder, self.replicas = "", 20

    async def handle(self, request: web.Request) -> web.Response:
        if request.path.startswith(LEASES.path("default")):
            return self._lease(request, await request.json() if request.can_read_body else {})
        if request.method == "GET":
            fleet = owned("Deployment", version=self.replicas, spec={"replicas": self.replicas, "template": TEMPLATE})
            found = {STREAM_QUEUES.path(None): [queue(spec=SPEC)], DEPLOYMENTS.path(None): [fleet]}
            return web.json_response({"metadata": {"resourceVersion": "9"}, "items": found.get(request.path, [])})
        body: dict[str, Any] = await request.json()
        if request.path.endswith("/deployments/orders") and not self.applied.done():
            self.applied.set_result(body)
        body["metadata"] = {"uid": "o1", "resourceVersion": "30", "generation": 1} | body["metadata"]
        return web.json_response(body)

    def _lease(self, request: web.Request, body: dict[str, Any]) -> web.Response:
        if request.method == "GET":
            self.waiting.set()
            spec = {"holderIdentity": self.holder, "renewTime": "x"}
            return web.json_response({"metadata": {"name": SETTINGS.lease, "namespace": "default"}, "spec": spec})
        self.holder = body["spec"]["holderIdentity"]
        return web.json_response(body)


TEMPLATE = {"metadata": {}, "spec": {}}
# A port that nobody listens on: the count holds.
SPEC = {"redis": {"url": "redis://127.0.0.1:1"}, "stream": "s", "group": "g", "handler": {"image": "i"}}


async def test_it_holds_the_count_that_the_last_one_left_whatever_its_watch_told() -> None:
    api, store = ApiServer(), Store()
    async with answered_by(api.handle) as kube:
        leader = Leader(kube, "default", SETTINGS.lease, "me")
        kube.may_write = leader.leads
        leading = asyncio.create_task(operator._lead(SETTINGS, Health(), store, kube, leader))
        try:
            await asyncio.wait_for(api.waiting.wait(), 10)
            api.release()
            body = await asyncio.wait_for(api.applied, 10)
        finally:
            leading.cancel()
            await asyncio.gather(leading, return_exceptions=True)
    assert body["spec"]["replicas"] == 20

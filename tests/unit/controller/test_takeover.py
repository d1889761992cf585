"""What a new leader begins with."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from streamqueue.controller import __main__ as operator
from streamqueue.controller.cluster import watch
from streamqueue.controller.cluster.leader import Leader
from streamqueue.controller.cluster.store import Store
from streamqueue.controller.kinds import DEPLOYMENTS, LEASES, PODS, STREAM_QUEUES
from streamqueue.controller.server import Health
from tests.kube.api import answered_by, taken
from tests.unit.controller.bodies import SETTINGS, owned, queue


class ApiServer:
    """One queue. While the other one leads, which `release` ends, it scales the fleet, and our watch doesn't tell."""

    def __init__(self) -> None:
        self.holder, self.replicas = "other", 2
        self.applied: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self.waiting = asyncio.Event()
        self.busy: set[str] = set()  # lists that it can't answer the first time
        self.absent: set[str] = set()  # kinds that it doesn't know
        self.pods_listed = asyncio.Event()

    def release(self) -> None:
        self.holder, self.replicas = "", 20
        self.pods_listed.clear()

    async def handle(self, request: web.Request) -> web.Response:
        if request.path.startswith(LEASES.path("default")):
            return self._lease(request, await request.json() if request.can_read_body else {})
        if request.method == "GET":
            if request.path in self.busy:
                self.busy.remove(request.path)
                return web.json_response({"reason": "ServiceUnavailable", "message": "not now"}, status=503)
            if request.path in self.absent:
                return web.json_response({"reason": "NotFound", "message": "no such kind"}, status=404)
            fleet = owned("Deployment", version=self.replicas, spec={"replicas": self.replicas, "template": TEMPLATE})
            found = {STREAM_QUEUES.path(None): [queue(spec=SPEC)], DEPLOYMENTS.path(None): [fleet]}
            if request.path == PODS.path(None):
                self.pods_listed.set()
            return web.json_response({"metadata": {"resourceVersion": "9"}, "items": found.get(request.path, [])})
        body: dict[str, Any] = await request.json()
        if request.path.endswith("/deployments/orders") and not self.applied.done():
            self.applied.set_result(body)
        return taken(body)

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


@asynccontextmanager
async def taking_over(api: ApiServer) -> AsyncIterator[asyncio.Task[None]]:
    """The operator, but for its watches and its page."""
    store = Store()
    async with answered_by(api.handle) as kube:
        leader = Leader(kube, "default", SETTINGS.lease, "me")
        kube.may_write = leader.leads
        leading = asyncio.create_task(operator._lead(SETTINGS, Health(), store, kube, leader))
        try:
            yield leading
        finally:
            leading.cancel()
            await asyncio.gather(leading, return_exceptions=True)


async def test_it_holds_the_count_that_the_last_one_left_whatever_its_watch_told() -> None:
    api = ApiServer()
    async with taking_over(api):
        await asyncio.wait_for(api.waiting.wait(), 10)
        api.release()
        body = await asyncio.wait_for(api.applied, 10)
    assert body["spec"]["replicas"] == 20


async def test_it_asks_which_pods_there_are_before_it_may_let_one_go() -> None:
    """One that went unseen may bear a mark that counts: the fleet would fall by another in its place."""
    api = ApiServer()
    async with taking_over(api):
        await asyncio.wait_for(api.waiting.wait(), 10)
        api.release()
        await asyncio.wait_for(api.pods_listed.wait(), 10)


async def test_lists_that_fail_are_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """An operator that ended would be held back by the kubelet, for minutes, with the API server long there."""
    monkeypatch.setattr(watch, "RETRY", 0.01)
    api = ApiServer()
    api.busy = {PODS.path(None)}
    async with taking_over(api):
        await asyncio.wait_for(api.waiting.wait(), 10)
        api.busy = {DEPLOYMENTS.path(None)}
        api.release()
        await asyncio.wait_for(api.applied, 10)
    assert not api.busy


async def test_without_the_crd_it_ends() -> None:
    """What watches would not see it come."""
    api = ApiServer()
    api.absent = {STREAM_QUEUES.path(None)}
    async with taking_over(api) as leading:
        with pytest.raises(watch.NotInstalled, match="apply the CRD"):
            await asyncio.wait_for(leading, 10)

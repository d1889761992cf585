"""Who leads, by a Lease whose versions fence as the API server's do."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from streamqueue.controller.cluster import leader
from streamqueue.controller.cluster.leader import RENEW_DEADLINE, Leader, LeaseLost
from tests.kube.api import answered_by

PATIENCE = 10.0


class LeaseServer:
    """One Lease. A write to another version than the last is refused."""

    def __init__(self) -> None:
        self.lease: dict[str, Any] | None = None
        self.loses_reply = False  # to the next write, which it carries out
        self._version = 0
        self._requests: asyncio.Queue[str] = asyncio.Queue()  # their methods

    async def handle(self, request: web.Request) -> web.Response:
        body = await request.json() if request.body_exists else None
        # No await from here on: what a test changes lies between two requests.
        self._requests.put_nowait(request.method)
        if body:
            version = self.lease["metadata"]["resourceVersion"] if self.lease else None
            if body["metadata"].get("resourceVersion") != version:
                return web.json_response({"reason": "Conflict"}, status=409)
            self._keep(body)
            if self.loses_reply:
                self.loses_reply = False
                return web.json_response({"reason": "Timeout"}, status=504)
        return web.json_response(self.lease or {}, status=200 if self.lease else 404)

    def give_to(self, holder: str) -> None:
        assert self.lease
        self._keep(self.lease | {"spec": self.lease["spec"] | {"holderIdentity": holder}})

    async def asked(self, *methods: str) -> None:
        """The next requests, in this order; those before the call are passed over."""
        while not self._requests.empty():
            self._requests.get_nowait()
        for method in methods:
            assert await asyncio.wait_for(self._requests.get(), PATIENCE) == method

    def _keep(self, body: dict[str, Any]) -> None:
        self._version += 1
        self.lease = json.loads(json.dumps(body))
        self.lease["metadata"] |= {"uid": "u", "resourceVersion": str(self._version)}


@asynccontextmanager
async def elected(server: LeaseServer) -> AsyncIterator[Leader]:
    async with answered_by(server.handle) as kube:
        ours = Leader(kube, "system", "operator", "us")
        await ours.acquire()
        yield ours


@asynccontextmanager
async def leading(server: LeaseServer) -> AsyncIterator[Leader]:
    async with elected(server) as ours:
        keeping = asyncio.create_task(ours.keep())
        yield ours
        keeping.cancel()
        assert isinstance(*await asyncio.gather(keeping, return_exceptions=True), asyncio.CancelledError)


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leader, "RETRY", 0.01)


async def test_a_renewal_is_one_write() -> None:
    server = LeaseServer()
    async with leading(server) as ours:
        await server.asked("PUT", "PUT", "PUT")
        assert ours.leads()


async def test_another_holder_ends_it() -> None:
    server = LeaseServer()
    async with elected(server) as ours:
        server.give_to("thief")
        with pytest.raises(LeaseLost):
            await asyncio.wait_for(ours.keep(), RENEW_DEADLINE / 2)
        assert not ours.leads() and server.lease and server.lease["spec"]["holderIdentity"] == "thief"


async def test_who_wrote_the_lease_is_seen_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    server = LeaseServer()
    async with elected(server) as ours:
        server.give_to("thief")
        monkeypatch.setattr(leader, "RETRY", 2 * PATIENCE)
        renewing = asyncio.create_task(ours.acquire())
        await server.asked("PUT", "GET")
        renewing.cancel()


async def test_a_lease_that_somebody_touched_or_removed_is_ours_all_the_same() -> None:
    server = LeaseServer()
    async with leading(server) as ours:
        server.give_to("us")
        await server.asked("PUT", "GET", "PUT", "PUT")
        server.lease = None
        await server.asked("PUT", "GET", "POST", "PUT")
        assert ours.leads()


async def test_after_a_write_whose_end_is_unknown_the_lease_is_read() -> None:
    server = LeaseServer()
    async with leading(server) as ours:
        server.loses_reply = True
        await server.asked("PUT", "GET", "PUT", "PUT")
        assert ours.leads()

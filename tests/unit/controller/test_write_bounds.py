"""How many writes are under way at once, told by a server that answers only when the test lets it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Coroutine
from typing import Any

import pytest
from aiohttp import web

from streamqueue.controller.act import BEGINNERS, Actor, Basis
from streamqueue.controller.cluster import kube as kube_module
from streamqueue.controller.cluster.events import Recorder
from streamqueue.controller.cluster.kube import SILENT, WRITES, Kube, KubeError
from streamqueue.controller.cluster.store import Holdings, Store
from streamqueue.controller.kinds import DEPLOYMENTS, LEASES, OWNED, PODS
from streamqueue.controller.runtime import Runtime
from streamqueue.scaling import Decision, Reason
from tests.kube.api import Awaited, answered_by, taken
from tests.unit.controller.bodies import SETTINGS, SPEC, owned, queue


class SlowServer(Awaited):
    """Takes requests in, holds them, and answers each with its own body once `release` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []  # method and path, in order of arrival
        self.release = asyncio.Event()

    async def handle(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.seen.append(f"{request.method} {request.path}")
        await self.told()
        await self.release.wait()
        return taken(body)

    async def holds(self, count: int) -> None:
        await asyncio.wait_for(self.comes_to(lambda: len(self.seen) >= count), timeout=1.5)


@pytest.fixture
async def server() -> SlowServer:
    return SlowServer()


@pytest.fixture
async def kube(server: SlowServer) -> AsyncIterator[Kube]:
    async with answered_by(server.handle) as kube:
        yield kube
        server.release.set()


def a_queue(name: str) -> Holdings:
    return Holdings(queue=queue(name))


def an_old_queue(name: str) -> Holdings:
    """All that it owns is there, and not as it should be."""
    live = {
        kind: owned(kind.kind, name, spec={"replicas": 0, "suspend": True, "template": {"metadata": {}}})
        for kind in OWNED
    }
    return Holdings(queue=queue(name), owned=live)


def carried_out(kube: Kube, actor: Actor, held: Holdings, runtime: Runtime) -> Coroutine[Any, Any, None]:
    return actor.carry_out(
        held, runtime, SPEC, Decision(1, Reason.SCALING_UP, "0 -> 1"), Basis(0, time.monotonic()), None, None
    )


async def test_writes_are_bounded_and_the_lease_passes_them_by(kube: Kube, server: SlowServer) -> None:
    async with asyncio.TaskGroup() as writes:
        for n in range(3 * WRITES):
            writes.create_task(kube.annotate(PODS, "shop", f"pod-{n}", {"a": "b"}))
        await server.holds(WRITES)
        lease = owned("Lease", "leader")
        writes.create_task(kube.replace(LEASES, lease, gated=False))
        await server.holds(WRITES + 1)
        assert server.seen[-1] == f"PUT {LEASES.path('shop', 'leader')}"
        assert len(server.seen) == WRITES + 1
        server.release.set()
    assert len(server.seen) == 3 * WRITES + 1


async def test_a_queue_that_wakes_finds_a_place_between_a_new_leaders_first_rounds(
    kube: Kube, server: SlowServer
) -> None:
    actor = Actor(kube, Recorder(kube), Store(), SETTINGS)
    async with asyncio.TaskGroup() as rounds:
        for n in range(2 * WRITES):
            rounds.create_task(carried_out(kube, actor, a_queue(f"new-{n}"), Runtime(f"q{n}")))
        await server.holds(BEGINNERS)
        woken = Runtime("q1", fresh=False)
        rounds.create_task(carried_out(kube, actor, an_old_queue("old"), woken))
        await server.holds(BEGINNERS + len(OWNED))
        assert all("old" in path for path in server.seen[BEGINNERS:]), "no further first round began"
        server.release.set()


async def test_a_wake_waits_for_one_round_trip_and_takes_the_cronjob_along(kube: Kube, server: SlowServer) -> None:
    actor = Actor(kube, Recorder(kube), Store(), SETTINGS)
    async with asyncio.TaskGroup() as rounds:
        rounds.create_task(carried_out(kube, actor, an_old_queue("orders"), Runtime("q1", fresh=False)))
        await server.holds(len(OWNED))
        patched = {DEPLOYMENTS.path("shop", "orders"), "/apis/batch/v1/namespaces/shop/cronjobs/orders-reclaim"}
        assert {f"PATCH {path}" for path in patched} <= set(server.seen), "in whatever order they arrive"
        server.release.set()


async def test_a_namespace_whose_writes_get_no_answer_leaves_room_for_others(
    kube: Kube, server: SlowServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A webhook of a tenant that hangs: each write there takes as long as a write may."""
    monkeypatch.setattr(kube_module, "WRITE_TIMEOUT", 0.1)
    with pytest.raises(KubeError, match="TimeoutError"):
        await kube.annotate(PODS, "silent", "pod", {"a": "b"})
    monkeypatch.setattr(kube_module, "WRITE_TIMEOUT", 30.0)
    server.seen.clear()  # on a busy machine the time is up before it has arrived
    async with asyncio.TaskGroup() as writes:
        for n in range(3 * WRITES):
            writes.create_task(kube.annotate(PODS, "silent", f"pod-{n}", {"a": "b"}))
        await server.holds(SILENT)
        writes.create_task(kube.annotate(PODS, "shop", "pod", {"a": "b"}))
        await server.holds(SILENT + 1)
        assert server.seen[-1] == f"PATCH {PODS.path('shop', 'pod')}"
        server.release.set()
    async with asyncio.TaskGroup() as writes:
        server.release.clear()
        for n in range(WRITES):
            writes.create_task(kube.annotate(PODS, "silent", f"pod-{n}", {"a": "b"}))
        await server.holds(3 * WRITES + 1 + WRITES)
        server.release.set()

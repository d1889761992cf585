"""Marks on pods: before a count falls, after it has risen, and never in the way of what needs none."""

from __future__ import annotations

import asyncio
import time
from contextlib import nullcontext

import pytest
from aiohttp import web

from streamqueue.controller.act import MARKS, STALE, Actor, Basis
from streamqueue.controller.cluster import kube as kube_module
from streamqueue.controller.cluster.events import Recorder
from streamqueue.controller.cluster.kube import KubeError
from streamqueue.controller.cluster.refusal import Refused
from streamqueue.controller.cluster.store import Store
from streamqueue.controller.kinds import DEPLOYMENTS, PODS, STREAM_QUEUES, Body
from streamqueue.controller.runtime import Runtime
from streamqueue.scaling import Decision, Reason
from tests.kube.api import Awaited, answered_by, taken
from tests.unit.controller.bodies import SETTINGS, SPEC, holdings, owned, pod, queue

LIVE = 2
PODS_THERE = 3 * MARKS  # each of which has something to be told
TEMPLATE = {"metadata": {}, "spec": {}}


class ApiServer(Awaited):
    """Answers writes on pods once `tells` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []  # kinds, in order of arrival
        self.tells = asyncio.Event()
        self.refuses = False  # Deployments

    async def handle(self, request: web.Request) -> web.Response:
        body = await request.json()
        kind = next(each for each in ("pods", "deployments", "") if f"/{each}" in request.path)
        self.asked.append(kind)
        await self.told()
        if kind == "pods":
            await asyncio.wait_for(self.tells.wait(), 5)
            body = pod(request.path.rpartition("/")[2]) | body
        if kind == "deployments" and self.refuses:
            return web.json_response({"reason": "Forbidden", "message": "exceeded quota"}, status=403)
        return taken(body)

    async def is_asked(self, times: int = 1) -> None:
        """For pods."""
        await self.comes_to(lambda: self.asked.count("pods") >= times)


def fleet(replicas: int, version: int = 1) -> Body:
    body = owned("Deployment", version=version, spec={"replicas": replicas, "template": TEMPLATE})
    body["metadata"]["generation"] = version
    return body


@pytest.fixture
def store() -> Store:
    store = Store()
    store.show(STREAM_QUEUES, queue())
    store.show(DEPLOYMENTS, fleet(LIVE))
    for n in range(PODS_THERE):
        store.show(PODS, pod(f"orders-6b7f9-aaa{n:02}", uid=f"p{n}"))
    return store


async def carried_out(api: ApiServer, store: Store, replicas: int, age: float = 0.0) -> None:
    """`age`: seconds since the look at the stream."""
    decision = Decision(replicas, Reason.SCALING_UP if replicas > LIVE else Reason.SCALING_DOWN, "")
    basis = Basis(LIVE, time.monotonic() - age)
    async with answered_by(api.handle) as kube:
        actor = Actor(kube, Recorder(kube), store, SETTINGS)
        await actor.carry_out(holdings(store), Runtime("q1", fresh=False), SPEC, decision, basis, None, None)


@pytest.mark.parametrize(("replicas", "first"), [(LIVE + 1, "deployments"), (LIVE, "pods"), (LIVE - 1, "pods")])
async def test_more_hands_wait_for_no_mark_and_fewer_do(store: Store, replicas: int, first: str) -> None:
    api = ApiServer()
    acting = asyncio.create_task(carried_out(api, store, replicas))
    await api.is_asked()
    assert ("deployments" in api.asked) is (first == "deployments")
    api.tells.set()
    await acting
    assert (api.asked.count("pods"), api.asked.count("deployments")) == (PODS_THERE, 1)


async def test_pods_are_told_though_no_more_may_come(store: Store) -> None:
    """Those at work are protected, whatever a quota says of others."""
    api = ApiServer()
    api.refuses = True
    api.tells.set()
    with pytest.raises(Refused):
        await carried_out(api, store, LIVE + 1)
    assert api.asked.count("pods") == PODS_THERE


async def test_a_few_pods_are_told_at_a_time(store: Store) -> None:
    """A queue of many pods must leave room for others."""
    api = ApiServer()
    acting = asyncio.create_task(carried_out(api, store, LIVE))
    await api.is_asked(MARKS)
    assert api.asked == ["pods"] * MARKS
    api.tells.set()
    await acting


async def test_marks_that_get_no_answer_hold_up_nobody(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A webhook on pods that hangs: what needs no mark is written all the same."""
    monkeypatch.setattr(kube_module, "WRITE_TIMEOUT", 0.3)
    api = ApiServer()
    await carried_out(api, store, LIVE)
    assert api.asked.count("pods") == MARKS, "the others would wait as long"
    assert "deployments" in api.asked
    api.tells.set()


@pytest.mark.parametrize("replicas", [LIVE, LIVE - 1])
@pytest.mark.parametrize("meanwhile", [LIVE + 8, LIVE - 1])
async def test_a_count_that_changes_meanwhile_is_decided_on_anew(store: Store, replicas: int, meanwhile: int) -> None:
    """Somebody's `kubectl scale`: what they added would go at once, busy or not."""
    api = ApiServer()
    acting = asyncio.create_task(carried_out(api, store, replicas))
    await api.is_asked()
    store.show(DEPLOYMENTS, fleet(meanwhile, version=2))
    api.tells.set()
    with pytest.raises(KubeError, match="changed while") as error:
        await acting
    assert error.value.status == 409
    assert "deployments" not in api.asked


@pytest.mark.parametrize(("replicas", "written"), [(LIVE - 1, 0), (LIVE, 1), (LIVE + 1, 1)])
async def test_an_old_look_lets_no_pod_go(store: Store, replicas: int, written: int) -> None:
    """Who was idle when it was taken may be at work by now."""
    api = ApiServer()
    api.tells.set()
    with nullcontext() if written else pytest.raises(KubeError, match="too old"):
        await carried_out(api, store, replicas, age=STALE + 1.0)
    assert (api.asked.count("pods"), api.asked.count("deployments")) == (PODS_THERE, written)

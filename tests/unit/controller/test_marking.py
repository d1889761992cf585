"""Marks on pods: before a count falls, after it has risen, and never in the way of what needs none."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import web

from streamqueue.controller import kube as kube_module
from streamqueue.controller.act import MARKS, Actor
from streamqueue.controller.events import Recorder
from streamqueue.controller.kinds import DEPLOYMENTS, PODS, STREAM_QUEUES
from streamqueue.controller.refusal import Refused
from streamqueue.controller.runtime import Runtime
from streamqueue.controller.store import Store
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


async def carried_out(api: ApiServer, replicas: int) -> None:
    store = Store()
    store.show(STREAM_QUEUES, queue())
    store.show(DEPLOYMENTS, owned("Deployment", spec={"replicas": LIVE, "template": TEMPLATE}))
    for n in range(PODS_THERE):
        store.show(PODS, pod(f"orders-6b7f9-aaa{n:02}", uid=f"p{n}"))
    decision = Decision(replicas, Reason.SCALING_UP if replicas > LIVE else Reason.SCALING_DOWN, "")
    async with answered_by(api.handle) as kube:
        actor = Actor(kube, Recorder(kube), store, SETTINGS)
        await actor.carry_out(holdings(store), Runtime("q1", fresh=False), SPEC, decision, None, None)


@pytest.mark.parametrize(("replicas", "first"), [(LIVE + 1, "deployments"), (LIVE, "pods"), (LIVE - 1, "pods")])
async def test_more_hands_wait_for_no_mark_and_fewer_do(replicas: int, first: str) -> None:
    api = ApiServer()
    acting = asyncio.create_task(carried_out(api, replicas))
    await api.is_asked()
    assert ("deployments" in api.asked) is (first == "deployments")
    api.tells.set()
    await acting
    assert (api.asked.count("pods"), api.asked.count("deployments")) == (PODS_THERE, 1)


async def test_pods_are_told_though_no_more_may_come() -> None:
    """Those at work are protected, whatever a quota says of others."""
    api = ApiServer()
    api.refuses = True
    api.tells.set()
    with pytest.raises(Refused):
        await carried_out(api, LIVE + 1)
    assert api.asked.count("pods") == PODS_THERE


async def test_a_few_pods_are_told_at_a_time() -> None:
    """A queue of many pods must leave room for others."""
    api = ApiServer()
    acting = asyncio.create_task(carried_out(api, LIVE))
    await api.is_asked(MARKS)
    assert api.asked == ["pods"] * MARKS
    api.tells.set()
    await acting


async def test_marks_that_get_no_answer_hold_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """A webhook on pods that hangs: what needs no mark is written all the same."""
    monkeypatch.setattr(kube_module, "WRITE_TIMEOUT", 0.3)
    api = ApiServer()
    await carried_out(api, LIVE)
    assert api.asked.count("pods") == MARKS, "the others would wait as long"
    assert "deployments" in api.asked
    api.tells.set()

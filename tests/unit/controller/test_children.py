"""What is in the way of an object: a refusal, which neither holds up others nor is asked for all the time; its name."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import nullcontext
from typing import Any

import pytest
from aiohttp import web

from streamqueue.controller.cluster import refusal
from streamqueue.controller.cluster.children import Applied, NameConflict, converge
from streamqueue.controller.cluster.kube import Kube, KubeError
from streamqueue.controller.cluster.refusal import Refused
from streamqueue.controller.cluster.store import Store
from streamqueue.controller.kinds import (
    CRON_JOBS,
    DEPLOYMENTS,
    DISRUPTION_BUDGETS,
    SERVICE_ACCOUNTS,
    STREAM_QUEUES,
    Body,
    Kind,
)
from tests.kube.api import answered_by
from tests.unit.controller.bodies import CREATED, holdings, owned, queue


class ApiServer:
    """A policy refuses disruption budgets."""

    def __init__(self) -> None:
        self.asked: list[str] = []  # method and plural, in order of arrival
        self.refuses = True
        self.refusal = (403, "Forbidden")

    async def handle(self, request: web.Request) -> web.Response:
        self.asked.append(f"{request.method} {request.path.split('/')[6]}")
        status, reason = self.refusal
        if request.method == "GET":
            return web.json_response(owned("PodDisruptionBudget", controller=False))
        body: dict[str, Any] = await request.json()
        if self.refuses and "poddisruptionbudgets" in request.path:
            return web.json_response({"reason": reason, "message": "no budgets here"}, status=status)
        body["metadata"] = body["metadata"] | {"uid": body["kind"], "resourceVersion": "2", "generation": 2}
        return web.json_response(body)


class Queue:
    """It has a fleet of one, and a CronJob that may differ."""

    def __init__(self, kube: Kube) -> None:
        self._kube = kube
        self._store = Store()
        self._applied = Applied()
        self._store.show(STREAM_QUEUES, queue())
        for kind, spec in ((CRON_JOBS, {}), (DEPLOYMENTS, {"replicas": 1})):
            self._store.show(kind, owned(kind.kind, uid=kind.kind, spec=spec))

    async def converge(self, replicas: int, *kinds: Kind) -> None:
        wanted: list[tuple[Kind, Body]] = [(kind, owned(kind.kind, spec={})) for kind in kinds]
        fleet = owned("Deployment", spec={"replicas": replicas})
        await converge(self._kube, self._store, holdings(self._store), self._applied, [*wanted, (DEPLOYMENTS, fleet)])


@pytest.fixture
async def api() -> ApiServer:
    return ApiServer()


@pytest.fixture
async def orders(api: ApiServer) -> AsyncIterator[Queue]:
    async with answered_by(api.handle) as kube:
        yield Queue(kube)


@pytest.mark.parametrize(
    ("status", "reason", "raised"),
    [
        (403, "Forbidden", Refused),
        (409, "AlreadyExists", NameConflict),
        (500, "InternalError", KubeError),
        (504, "Timeout", KubeError),
    ],
)
async def test_the_fleet_there_is_scales_though_something_else_cant_be_made(
    orders: Queue, api: ApiServer, status: int, reason: str, raised: type[Exception]
) -> None:
    api.refusal = status, reason
    with pytest.raises(raised):
        await orders.converge(2, DISRUPTION_BUDGETS)
    assert [asked for asked in api.asked if asked[:3] != "GET"] == ["POST poddisruptionbudgets", "PATCH deployments"]


async def test_what_is_refused_is_asked_for_again_after_a_while(
    orders: Queue, api: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for replicas in (2, 3):
        with pytest.raises(Refused, match="no budgets here"):
            await orders.converge(replicas, DISRUPTION_BUDGETS)
    assert api.asked.count("POST poddisruptionbudgets") == 1
    monkeypatch.setattr(refusal, "RETRY", 0.0)
    api.refuses = False
    await orders.converge(3, DISRUPTION_BUDGETS)
    assert api.asked.count("POST poddisruptionbudgets") == 2


async def test_a_refusal_that_is_only_remembered_is_as_old_as_it_is(orders: Queue) -> None:
    """Or a template that was refused beside it would never be tried again."""
    told = []
    for _ in range(2):
        with pytest.raises(Refused) as refused:
            await orders.converge(1, DISRUPTION_BUDGETS)
        told.append(refused.value.refusal)
    assert told[0] == told[1]


async def test_nothing_more_is_created_after_a_refusal(orders: Queue, api: ApiServer) -> None:
    """A fleet is, once all that its pods need is there."""
    orders._store.remove(DEPLOYMENTS, owned("Deployment", uid="Deployment"))
    with pytest.raises(Refused):
        await orders.converge(1, DISRUPTION_BUDGETS, CRON_JOBS)
    assert api.asked == ["POST poddisruptionbudgets", "PATCH cronjobs"]


@pytest.mark.parametrize("gone", [False, True])
async def test_what_an_earlier_queue_of_the_name_leaves_is_waited_for(gone: bool) -> None:
    """It goes with that queue, within moments: nobody need rename anything."""
    left = owned("Deployment", spec={"replicas": 1})
    left["metadata"]["ownerReferences"][0]["uid"] = "an earlier one"
    with pytest.raises(KubeError) as refused:
        await _created_beside(None if gone else left)
    assert refused.value.status == 409, "again with the next look"


async def test_what_is_somebody_elses_is_a_conflict() -> None:
    theirs = owned("Deployment", spec={"replicas": 1})
    theirs["metadata"]["ownerReferences"][0] |= {"name": "another", "uid": "q9"}
    held_up = owned("Deployment", spec={"replicas": 1})
    held_up["metadata"]["ownerReferences"][0]["uid"] = "an earlier one"
    held_up["metadata"]["deletionTimestamp"] = CREATED  # by a finalizer, for who knows how long
    for existing in (theirs, held_up, owned("Deployment", controller=False)):
        with pytest.raises(NameConflict):
            await _created_beside(existing)


async def test_a_fleet_that_went_out_of_sight_is_not_cut_down_unseen() -> None:
    """Somebody took the label off that our watch goes by. What was decided was decided on no fleet at all."""
    fleet = owned("Deployment", version=7, spec={"replicas": 20})
    written = await _created_beside(fleet)
    assert [body["spec"]["replicas"] for body in written] == [20, 2], "once it is seen, what is decided counts"
    assert written[1]["metadata"]["resourceVersion"] == "8"

    fleet["spec"]["replicas"] = 1
    written = await _created_beside(fleet)
    assert [body["spec"]["replicas"] for body in written] == [2]


SEEN = 2  # workers, at version 5


@pytest.mark.parametrize(
    ("count", "now", "asked"),
    [
        (SEEN + 2, SEEN, ["PATCH at 5", "GET", "PATCH at 7"]),
        (SEEN, SEEN, ["PATCH at 5", "GET", "PATCH at 7"]),
        (SEEN + 2, 20, ["PATCH at 5", "GET"]),
        (SEEN, 20, ["PATCH at 5", "GET"]),
        (SEEN + 2, 0, ["PATCH at 5", "GET"]),
        (SEEN - 1, SEEN, ["PATCH at 5"]),
    ],
    ids=["more", "a template", "more, but fewer than now", "a template, and fewer", "more of a stopped one", "fewer"],
)
async def test_a_fleet_that_is_at_another_version_by_now_is_written_if_its_count_is_the_same(
    count: int, now: int, asked: list[str]
) -> None:
    """Of more workers or a new template too: what another leader or somebody by hand added would go, busy or not. And
    a leader's write that comes when it leads no more is refused for its version.
    """
    fleet, seen = owned("Deployment", version=7, spec={"replicas": now}), []

    async def handle(request: web.Request) -> web.Response:
        if request.method == "GET":
            seen.append("GET")
            return web.json_response(fleet)
        body: dict[str, Any] = await request.json()
        seen.append(f"PATCH at {body['metadata']['resourceVersion']}")
        if seen[-1] != "PATCH at 7":
            return web.json_response({"reason": "Conflict", "message": "it has changed"}, status=409)
        return web.json_response(body)

    store = Store()
    store.show(STREAM_QUEUES, queue())
    store.show(DEPLOYMENTS, owned("Deployment", version=5, spec={"replicas": SEEN}))
    wanted = owned("Deployment", spec={"replicas": count})
    async with answered_by(handle) as kube:
        with nullcontext() if asked[-1] == "PATCH at 7" else pytest.raises(KubeError) as refused:
            await converge(kube, store, holdings(store), Applied(), [(DEPLOYMENTS, wanted)])
    assert refused is None or refused.value.status == 409
    assert seen == asked


async def test_an_edit_of_what_has_no_generation_is_undone_too() -> None:
    """A ServiceAccount. To undo what isn't ours to undo changes nothing, and is tried once."""
    written = []

    def account(version: int) -> Body:
        body = owned("ServiceAccount", version=version)
        del body["metadata"]["generation"]
        return body

    async def handle(request: web.Request) -> web.Response:
        written.append(await request.json())
        return web.json_response(account(versions[-1]))

    store, applied, versions = Store(), Applied(), [5]
    store.show(STREAM_QUEUES, queue())
    store.show(SERVICE_ACCOUNTS, account(5))
    async with answered_by(handle) as kube:
        for version, writes in ((5, 1), (5, 1), (7, 2), (7, 2)):
            versions.append(version)
            store.show(SERVICE_ACCOUNTS, account(version))
            await converge(kube, store, holdings(store), applied, [(SERVICE_ACCOUNTS, account(0))])
            assert len(written) == writes


async def test_a_template_that_somebody_wrote_is_told_from_a_count() -> None:
    async def handle(request: web.Request) -> web.Response:
        body: dict[str, Any] = await request.json()
        return web.json_response(body | {"metadata": body["metadata"] | {"resourceVersion": "6", "generation": 2}})

    def fleet(image: str, generation: int, replicas: int = 1) -> Body:
        body = owned("Deployment", version=5, spec={"replicas": replicas, "template": {"image": image}})
        return body | {"metadata": body["metadata"] | {"generation": generation}}

    store, applied = Store(), Applied()
    store.show(STREAM_QUEUES, queue())
    store.show(DEPLOYMENTS, fleet("before us", 1))
    assert not applied.is_edited(fleet("before us", 1)) and not applied.is_edited(None), "nothing is known yet"
    async with answered_by(handle) as kube:
        await converge(kube, store, holdings(store), applied, [(DEPLOYMENTS, fleet("ours", 1))])
    assert not applied.is_edited(fleet("before us", 2)), "the watch is late"
    assert not applied.is_edited(fleet("ours", 3, replicas=4))
    assert applied.is_edited(fleet("theirs", 3))


async def _created_beside(existing: Body | None) -> list[Body]:
    """What is written in two rounds of a new queue whose Deployment is there already, or was a moment ago."""
    written: list[Body] = []

    async def handle(request: web.Request) -> web.Response:
        if request.method == "POST":
            return web.json_response({"reason": "AlreadyExists", "message": "it exists"}, status=409)
        if request.method == "GET":
            return web.json_response(existing) if existing else web.json_response({"reason": "NotFound"}, status=404)
        written.append(body := await request.json())
        return web.json_response(body | {"metadata": owned("Deployment", version=8)["metadata"]})

    store = Store()
    store.show(STREAM_QUEUES, queue())
    held = holdings(store)
    async with answered_by(handle) as kube:
        applied = Applied()
        for _ in range(2):
            await converge(kube, store, held, applied, [(DEPLOYMENTS, owned("Deployment", spec={"replicas": 2}))])
    return written


@pytest.mark.parametrize(("replicas", "told"), [(2, None), (3, 2)])
def test_an_edit_that_leaves_the_count_overwrites_none(replicas: int, told: int | None) -> None:
    applied = Applied({DEPLOYMENTS: ("", 1)}, replicas=2)
    edited = owned("Deployment", spec={"replicas": replicas})
    edited["metadata"]["generation"] = 2
    assert applied.overwritten(edited) == told

"""What a POST set is made an apply's before the first apply: else nothing would ever be taken out of the object.

The bookkeeping is the API server's own: `e2e/test_writes` sees a field go.
"""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp import web

from streamqueue.controller.cluster.children import Applied, converge
from streamqueue.controller.cluster.managed_fields import upgraded
from streamqueue.controller.cluster.store import Holdings, Store
from streamqueue.controller.kinds import DEPLOYMENTS, STREAM_QUEUES, Body
from tests.kube.api import answered_by
from tests.unit.controller.bodies import holdings, owned, queue


def entry(manager: str, operation: str, fields: Body, **more: str) -> Body:
    found = {"manager": manager, "operation": operation, "apiVersion": "apps/v1", "fieldsType": "FieldsV1"}
    return found | {"fieldsV1": fields} | more


POSTED = entry("streamqueue", "Update", {"f:spec": {"f:replicas": {}, "f:template": {"f:a": {}}}})
OTHERS = [
    entry("kube-controller-manager", "Update", {"f:status": {"f:replicas": {}}}, subresource="status"),
    entry("kubectl-rollout", "Update", {"f:spec": {"f:template": {"f:restartedAt": {}}}}),
]


def test_a_posts_fields_become_an_applys_and_others_stay() -> None:
    first, *others = upgraded([POSTED, *OTHERS])
    assert first == POSTED | {"operation": "Apply"}
    assert others == OTHERS


def test_with_an_apply_beside_it_both_are_one() -> None:
    """A field without children is itself, and stays so beside those that it has elsewhere."""
    applied = entry("streamqueue", "Apply", {"f:spec": {"f:replicas": {".": {}, "f:b": {}}, "f:template": {"f:c": {}}}})
    [joined] = upgraded([applied, POSTED])
    fields = {"f:replicas": {".": {}, "f:b": {}}, "f:template": {"f:a": {}, "f:c": {}}}
    assert joined == applied | {"fieldsV1": {"f:spec": fields}}


class ApiServer:
    """A Deployment that was POSTed, at a version of its own."""

    def __init__(self, version: str) -> None:
        self.live = owned("Deployment", spec={"replicas": 3}, version=int(version))
        self.live["metadata"]["managedFields"] = [POSTED, *OTHERS]
        self.asked: list[tuple[str, str]] = []  # method and type of content
        self.bodies: list[Any] = []

    async def handle(self, request: web.Request) -> web.Response:
        self.asked.append((request.method, request.content_type))
        if request.method == "GET":
            return web.json_response(self.live)
        self.bodies.append(await request.json())
        return web.json_response(self.live | {"metadata": self.live["metadata"] | {"resourceVersion": "9"}})


def seen() -> tuple[Store, Holdings]:
    """The store, as the watch filled it at version 5."""
    store = Store()
    store.show(DEPLOYMENTS, ApiServer("5").live)
    held = holdings(store)
    held.queue = queue()
    return store, held


async def scaled_down(api: ApiServer) -> None:
    store, held = seen()
    body = owned("Deployment", spec={"replicas": 1})
    async with answered_by(api.handle) as kube:
        await converge(kube, store, held, Applied(), [(DEPLOYMENTS, body)])


@pytest.mark.parametrize(("version", "fence"), [("5", "9"), ("6", "5")])
async def test_it_is_done_before_the_first_apply_which_keeps_its_fence(version: str, fence: str) -> None:
    """A scale-down that was decided on another version is refused, as ever."""
    api = ApiServer(version)
    await scaled_down(api)
    assert [method for method, _ in api.asked] == ["GET", "PATCH", "PATCH"]
    assert api.asked[1][1] == "application/json-patch+json"
    written, applied = api.bodies
    assert [change["value"] for change in written] == [upgraded([POSTED, *OTHERS]), version]
    assert applied["metadata"]["resourceVersion"] == fence


async def test_what_was_applied_ever_since_is_applied_at_once() -> None:
    api = ApiServer("5")
    api.live["metadata"]["managedFields"] = OTHERS
    store, held = seen()
    store.show(DEPLOYMENTS, api.live | {"metadata": api.live["metadata"] | {"resourceVersion": "6"}})
    async with answered_by(api.handle) as kube:
        await converge(kube, store, held, Applied(), [(DEPLOYMENTS, owned("Deployment", spec={"replicas": 3}))])
    assert api.asked == [("PATCH", "application/apply-patch+yaml")]


class Newborn(ApiServer):
    """Nothing is there at first. The first hand-over is refused with `refusals` left: a controller was quicker."""

    def __init__(self, refusals: int) -> None:
        super().__init__("5")
        self.refusals = refusals

    async def handle(self, request: web.Request) -> web.Response:
        answer = await super().handle(request)
        if request.method == "GET":
            return answer
        if request.content_type == "application/json-patch+json":
            if self.refusals:
                self.refusals -= 1
                return web.json_response({"reason": "Conflict", "message": "it has changed"}, status=409)
            self.live["metadata"]["managedFields"] = self.bodies[-1][0]["value"]
        metadata = self.live["metadata"] | {"resourceVersion": str(9 + len(self.bodies))}
        return web.json_response(self.live | {"metadata": metadata})


async def rounds(api: ApiServer, count: int) -> list[tuple[str, str]]:
    """What was asked in so many rounds of a queue that owns nothing yet."""
    store, applied = Store(), Applied()
    store.show(STREAM_QUEUES, queue())
    held = holdings(store)
    async with answered_by(api.handle) as kube:
        for _ in range(count):
            await converge(kube, store, held, applied, [(DEPLOYMENTS, owned("Deployment", spec={"replicas": 3}))])
    return [(method, content.rpartition("/")[2]) for method, content in api.asked]


async def test_it_is_done_with_the_creation_so_that_no_wake_waits_for_it() -> None:
    assert await rounds(Newborn(refusals=0), 3) == [("POST", "json"), ("PATCH", "json-patch+json")]


async def test_refused_then_it_is_done_in_a_round_that_changes_nothing() -> None:
    """And all is applied once more: what was applied before took nothing away."""
    asked = await rounds(Newborn(refusals=1), 5)
    patch = ("PATCH", "json-patch+json")
    assert asked == [("POST", "json"), patch, ("GET", "json"), patch, ("PATCH", "apply-patch+yaml")]


def test_of_all_that_is_told_a_hint_is_kept() -> None:
    _, held = seen()
    [kept] = held.owned[DEPLOYMENTS]["metadata"]["managedFields"]
    assert "fieldsV1" not in kept

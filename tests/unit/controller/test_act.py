"""What is said of a decision that was carried out, and of one that was not."""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web
from prometheus_client import REGISTRY

from streamqueue.controller.act import Actor, Basis
from streamqueue.controller.cluster.events import Recorder
from streamqueue.controller.cluster.kube import KubeError
from streamqueue.controller.cluster.refusal import Refused
from streamqueue.controller.cluster.store import Store
from streamqueue.controller.kinds import DEPLOYMENTS, STREAM_QUEUES, Body
from streamqueue.controller.runtime import Runtime
from streamqueue.controller.status import metrics
from streamqueue.manifests.labels import GENERATION_ANNOTATION, TEMPLATE_VERSION_ANNOTATION
from streamqueue.scaling import Decision, Reason
from tests.kube.api import answered_by, taken
from tests.unit.controller.bodies import KEY, SETTINGS, SPEC, holdings, owned, queue

UP = Decision(2, Reason.SCALING_UP, "0 -> 2: 20 waiting")


async def carried_out(*, refused: bool, deployments: int = 201) -> None:
    """For a queue that has no fleet yet. `deployments`: the answer to their POST."""

    async def handle(request: web.Request) -> web.Response:
        body: dict[str, Any] = await request.json()
        if request.path.endswith("/deployments") and deployments != 201:
            return web.json_response({"reason": "Invalid", "message": "no such field"}, status=deployments)
        return taken(body)

    store = Store()
    store.show(STREAM_QUEUES, queue())
    async with answered_by(handle) as kube:
        actor = Actor(kube, Recorder(kube), store, SETTINGS)
        await actor.carry_out(
            holdings(store), Runtime("q1"), SPEC, UP, Basis(0, time.monotonic()), None, None, refused=refused
        )


def counted() -> float | None:
    labels = {"namespace": "shop", "queue": "orders", "reason": "ScalingUp"}
    return REGISTRY.get_sample_value("streamqueue_decisions_total", labels)


@pytest.fixture(autouse=True)
def told(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO)
    metrics.forget(KEY)
    return caplog


async def test_the_first_workers_are_news_and_count(told: pytest.LogCaptureFixture) -> None:
    await carried_out(refused=False)
    assert "shop/orders ScalingUp: 0 -> 2" in told.text
    assert counted() == 1


async def test_without_a_fleet_that_could_grow_there_is_no_news(told: pytest.LogCaptureFixture) -> None:
    """Its template was refused: each second would have an event of its own."""
    await carried_out(refused=True)
    assert "ScalingUp" not in told.text
    assert not counted()


async def test_what_is_refused_changed_no_count() -> None:
    with pytest.raises(Refused):
        await carried_out(refused=False, deployments=422)
    assert not counted()


async def test_what_somebody_wrote_into_a_fleet_of_an_older_operator_is_undone() -> None:
    """Its template is kept as it is, by the upgrade; not for what others make of it since."""
    older = {"metadata": {}, "spec": {"containers": [{"name": "handler", "image": "older"}]}}
    theirs = {"metadata": {}, "spec": {"containers": [{"name": "handler", "image": "theirs"}]}}
    written: list[str] = []

    async def handle(request: web.Request) -> web.Response:
        body: dict[str, Any] = await request.json()
        if "/deployments/" in request.path:
            written.append(body["spec"]["template"]["spec"]["containers"][0]["image"])
        return taken(body)

    def fleet(template: Body, generation: int) -> Body:
        body = owned("Deployment", version=30 * generation, spec={"replicas": 2, "template": template})
        annotations = {GENERATION_ANNOTATION: "1", TEMPLATE_VERSION_ANNOTATION: "0"}
        return body | {"metadata": body["metadata"] | {"annotations": annotations, "generation": generation}}

    store, runtime = Store(), Runtime("q1")
    store.show(STREAM_QUEUES, queue())
    async with answered_by(handle) as kube:
        actor = Actor(kube, Recorder(kube), store, SETTINGS)
        for live in (fleet(older, 1), fleet(theirs, 2)):
            store.show(DEPLOYMENTS, live)
            basis = Basis(2, time.monotonic())
            await actor.carry_out(holdings(store), runtime, SPEC, UP, basis, None, None)
    assert written == ["older", SPEC.handler.image]


@pytest.mark.parametrize(("answered", "tells"), [(201, ["from 3 to 1"]), (409, ["from 2 to 1"]), (504, [])])
async def test_a_count_that_somebody_set_is_told_of_once(
    told: pytest.LogCaptureFixture, answered: int, tells: list[str]
) -> None:
    """An HPA on the Deployment, for instance: the count comes back, and the workers that it ended were busy. What a
    write of ours did that nobody answered is none of theirs.
    """
    statuses = [201, answered, 201, 201]

    async def handle(request: web.Request) -> web.Response:
        if request.method == "GET":
            return web.json_response(fleet(7, 9))
        if "/deployments/" in request.path and (status := statuses.pop(0)) != 201:
            return web.json_response({"reason": "", "message": ""}, status=status)
        return taken(await request.json())

    def fleet(replicas: int, generation: int) -> Body:
        spec = {"replicas": replicas, "template": {"metadata": {}, "spec": {}}}
        body = owned("Deployment", version=30 * generation, spec=spec)
        return body | {"metadata": body["metadata"] | {"generation": generation}}

    store, runtime = Store(), Runtime("q1")
    store.show(STREAM_QUEUES, queue())
    async with answered_by(handle) as kube:
        actor = Actor(kube, Recorder(kube), store, SETTINGS)
        for live, replicas in ((fleet(2, 1), 2), (fleet(2, 1), 3), (fleet(1, 2), 2), (fleet(1, 2), 2)):
            store.show(DEPLOYMENTS, live)
            basis = Basis(live["spec"]["replicas"], time.monotonic())
            with suppress(KubeError):
                decision = replace(UP, replicas=replicas)
                await actor.carry_out(holdings(store), runtime, SPEC, decision, basis, None, None)
    said = [each for each in told.messages if "ReplicasOverwritten" in each]
    assert [each[each.index("from") :].partition(",")[0] for each in said] == tells

"""What the API server refuses is said for as long as it refuses it, whatever its word; the rest goes on."""

from __future__ import annotations

import base64
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from redis.asyncio import Redis

from streamqueue.controller import loop as loop_module
from streamqueue.controller import round as round_module
from streamqueue.controller.cluster import refusal
from streamqueue.controller.cluster.store import Store
from streamqueue.controller.kinds import DEPLOYMENTS, PODS, STREAM_QUEUES
from streamqueue.controller.loop import Loop
from tests.kube.api import PATIENCE, Awaited, taken
from tests.redis.controller.loops import loop_over, queue_on, running
from tests.redis.queue import Queue
from tests.redis.servers.process import RunningServer
from tests.redis.worker.pod import until
from tests.unit.controller.bodies import condition, container, owned, pod

# What is asked of the server is a look at an empty stream.
pytestmark = pytest.mark.on("redis-7.0", "valkey-9.1")

INVALID = (422, "Invalid", "nodeSelector: no such label")
ANY_WORD = [
    (*INVALID, "TemplateInvalid"),
    (400, "BadRequest", "cannot unmarshal string", "TemplateInvalid"),
    (500, "", "failed to create typed patch object (shop/orders): field not declared in schema", "TemplateInvalid"),
    (403, "Forbidden", 'admission webhook "policy" denied the request', "Forbidden"),
    (403, "Forbidden", "exceeded quota: objects", "Forbidden"),
    (422, "Invalid", "ValidatingAdmissionPolicy 'freeze' with binding 'freeze' denied request: not today", "Forbidden"),
    (400, "BadRequest", 'admission webhook "policy" denied the request: no such team', "Forbidden"),
    (500, "InternalError", 'failed calling webhook "policy": connection refused', "Forbidden"),
]


FLEET = owned("Deployment", spec={"replicas": 1, "template": {"metadata": {}, "spec": {}}})


class ApiServer(Awaited):
    """Refuses Deployments whose pods have a nodeSelector, and marks on pods; keeps the statuses it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.refusal = INVALID
        self.marks = False  # whether it takes those
        self.written: list[dict[str, Any]] = []  # Deployments
        self.tries = 0  # of those that are refused
        self.status: dict[str, Any] = {}

    async def handle(self, request: web.Request) -> web.Response:
        if request.method == "GET":
            return web.json_response(FLEET)
        body: dict[str, Any] = await request.json()
        status, reason, message = self.refusal
        if request.path.endswith("/status"):
            self.status = body["status"]
        refused = "/pods/" in request.path and not self.marks
        if "/deployments" in request.path:
            refused = "nodeSelector" in body["spec"]["template"]["spec"]
            self.tries += refused
            self.written += [] if refused else [body]
        await self.told()
        if refused:
            return web.json_response({"reason": reason, "message": message}, status=status)
        return taken(body)

    def says(self, kind: str) -> tuple[str, str]:
        found = {each["type"]: (each["status"], each["reason"]) for each in self.status.get("conditions", [])}
        return found.get(kind, ("", ""))


@pytest.fixture
def store(shared_server: RunningServer) -> Store:
    store = Store()
    template = {"spec": {"nodeSelector": {"a label": "x"}}}
    scaling = {"pollingInterval": "200ms", "replicas": 2}
    store.show(STREAM_QUEUES, queue_on(shared_server, scaling=scaling, template=template))
    return store


@pytest.fixture
async def api() -> ApiServer:
    return ApiServer()


@pytest.fixture
async def loop(store: Store, api: ApiServer, redis: Redis) -> AsyncIterator[Loop]:
    await Queue(redis).create()
    async with loop_over(store, api.handle) as loop:
        yield loop


@pytest.fixture
async def at_work(loop: Loop) -> AsyncIterator[None]:
    async with running(loop):
        yield


def with_a_fleet(store: Store, replicas: int = 1) -> None:
    store.show(DEPLOYMENTS, FLEET | {"spec": FLEET["spec"] | {"replicas": replicas}})


def with_three_ready_pods(store: Store) -> None:
    with_a_fleet(store, replicas=3)
    for name in ("orders-6b7f9-aaaaa", "orders-6b7f9-bbbbb", "orders-6b7f9-ccccc"):
        store.show(PODS, pod(name, uid=name, conditions=[condition("Ready", "True")]))


@pytest.mark.usefixtures("at_work")
@pytest.mark.parametrize(("status", "reason", "message", "said"), ANY_WORD)
async def test_a_new_queue_says_why_it_has_no_fleet(
    api: ApiServer, status: int, reason: str, message: str, said: str
) -> None:
    api.refusal = (status, reason, message)
    await api.comes_to(lambda: api.says("Accepted") == ("False", said))
    assert api.says("Ready") == ("False", said)
    assert message in api.status["conditions"][0]["message"]


async def test_it_is_said_while_the_last_good_template_runs_and_scales(
    store: Store, loop: Loop, api: ApiServer
) -> None:
    with_a_fleet(store)
    async with running(loop):
        await api.comes_to(lambda: bool(api.written))
        assert api.written[0]["spec"]["replicas"] == 2, "the count follows, with the template that runs"
        await api.comes_to(lambda: api.status.get("desiredReplicas") == 2)
        assert api.says("Accepted") == ("False", "TemplateInvalid")
        assert api.tries == 1


@pytest.mark.usefixtures("at_work")
async def test_what_is_let_pass_later_is_tried_again(api: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusal, "RETRY", 0.0)
    await api.comes_to(lambda: api.tries >= 2)


async def test_a_pod_that_cant_be_marked_holds_up_nobody(store: Store, loop: Loop, api: ApiServer) -> None:
    with_three_ready_pods(store)
    api.refusal = (403, "Forbidden", 'admission webhook "policy" denied the request')
    async with running(loop):
        await api.comes_to(lambda: api.says("Accepted") == ("False", "Forbidden"))


async def test_pods_that_cant_be_marked_are_told_of(
    store: Store, loop: Loop, api: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None goes unmarked: the fleet would stay at its peak, with idle pods that are being marked for ever."""
    with_three_ready_pods(store)
    api.refusal = (403, "Forbidden", "annotations of pods are not to be changed")
    async with running(loop):
        await api.comes_to(lambda: api.says("ScalingActive") == ("True", "Scaling"))
        monkeypatch.setattr(round_module, "PATIENCE", 0.0)
        await api.comes_to(lambda: api.says("ScalingActive") == ("False", "NotWritten"))
        assert "marked" in api.status["message"] and api.status["message"].endswith(api.refusal[2])
        api.marks = True
        await api.comes_to(lambda: api.says("ScalingActive") == ("True", "Scaling"))


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_what_dead_workers_held_comes_back_though_no_write_is_taken(
    store: Store, loop: Loop, api: ApiServer, redis: Redis, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    """It needs no API server: and it is said what is known."""
    monkeypatch.setattr(loop_module, "ERROR_BACKOFF", 0.1)
    api.refusal = (status, "", "not now")
    queue, worker = Queue(redis), pod()
    await queue.add(1)
    await queue.read(worker["metadata"]["name"])
    ended = {"terminated": {"finishedAt": "2100-01-01T00:00:00Z", "exitCode": 137}}
    worker["status"] = {"containerStatuses": [container(state=ended)]}
    with_a_fleet(store)
    store.show(PODS, worker)

    async def none_is_held() -> bool:
        return not await queue.pending()

    async with running(loop):
        await until(none_is_held, "it came back", patience=PATIENCE)
        await api.comes_to(lambda: api.status.get("pending") == 0)
        assert not api.written, "all the while no write was taken"


@pytest.mark.parametrize(
    "refusal", [(503, "ServiceUnavailable", "no leader"), (409, "Conflict", "the object of an earlier queue lingers")]
)
async def test_writes_that_go_on_failing_are_told_of(
    store: Store,
    loop: Loop,
    api: ApiServer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    refusal: tuple[int, str, str],
) -> None:
    """The count follows nothing, and the queue would be Ready and ScalingUp for ever."""
    caplog.set_level(logging.INFO, round_module.log.name)

    def said_once() -> bool:
        return len([each for each in caplog.messages if "older state" in each]) == (refusal[0] == 409)

    monkeypatch.setattr(loop_module, "ERROR_BACKOFF", 0.1)
    api.refusal = refusal
    with_a_fleet(store)
    async with running(loop):
        await api.comes_to(lambda: api.says("ScalingActive") == ("True", "Scaling"))
        assert said_once()
        monkeypatch.setattr(round_module, "PATIENCE", 0.0)
        await api.comes_to(lambda: api.says("ScalingActive") == ("False", "NotWritten"))
        assert api.status["reason"] == "NotWritten"
        assert api.status["message"].startswith("the queue's objects can't be written now: ")
        assert api.status["message"].endswith(refusal[2])
        api.refusal = INVALID
        await api.comes_to(lambda: api.says("ScalingActive") == ("True", "Scaling"))
        assert api.status["reason"] == "Pinned"
    assert said_once(), "and not again"
    assert any(each.startswith("shop/orders: ") for each in caplog.messages) == (refusal[0] != 409)


async def test_a_refusal_is_no_word_on_the_edit_that_came_meanwhile(shared_server: RunningServer, redis: Redis) -> None:
    """The mended template would wait as long as the refused one."""
    await Queue(redis).create()
    store, api = Store(), ApiServer()
    spec = {"redis": {"secretRef": {"name": "redis", "key": "url"}}, "scaling": {"pollingInterval": "200ms"}}
    mended = queue_on(shared_server, **spec)
    mended["metadata"] |= {"generation": 2, "resourceVersion": "9"}
    secret = {"metadata": {"uid": "s1"}, "data": {"url": base64.b64encode(shared_server.url.encode()).decode()}}

    async def handle(request: web.Request) -> web.Response:
        if "/secrets/" not in request.path:
            return await api.handle(request)
        store.show(STREAM_QUEUES, mended)
        return web.json_response(secret)

    store.show(STREAM_QUEUES, queue_on(shared_server, template={"spec": {"nodeSelector": {"a label": "x"}}}, **spec))
    async with loop_over(store, handle) as loop, running(loop):
        await api.comes_to(lambda: bool(api.written))
        assert api.tries == 1, "of the one that the round had begun with"
        await api.comes_to(lambda: api.says("Accepted") == ("True", "Valid"))
        assert api.status["observedGeneration"] == 2

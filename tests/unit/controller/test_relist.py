"""Lists of our own, every five minutes: kopf's watches don't tell what vanished while they were away."""

from __future__ import annotations

import asyncio
import gc
from contextlib import suppress
from dataclasses import replace

import pytest
from aiohttp import web

from streamqueue.controller.cluster import watch
from streamqueue.controller.cluster.kube import KubeError
from streamqueue.controller.cluster.store import Store
from streamqueue.controller.kinds import PODS, STREAM_QUEUES, WATCHED
from tests.kube.api import answered_by
from tests.unit.controller.bodies import KEY, SETTINGS, holdings, pod, queue


class Lists:
    """The first list of pods fails, the others find none; `complete` is set when all kinds were listed."""

    def __init__(self) -> None:
        self.items = {STREAM_QUEUES.path(None): [queue()]}
        self.asked: dict[str, str | None] = {}
        self.failed = False
        self.complete = asyncio.Event()

    async def handle(self, request: web.Request) -> web.Response:
        if request.path == PODS.path(None) and not self.failed:
            self.failed = True
            return web.json_response({"reason": "InternalError", "message": "etcd is away"}, status=500)
        self.asked[request.path] = request.query.get("labelSelector")
        if request.path == WATCHED[0].path(None) and PODS.path(None) in self.asked:
            self.complete.set()  # the next round has begun
        return web.json_response({"metadata": {"resourceVersion": "9"}, "items": self.items.get(request.path, [])})


async def test_what_vanished_without_an_event_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert watch.RELIST_INTERVAL <= 300
    monkeypatch.setattr(watch, "RELIST_INTERVAL", 0.01)
    store, lists = Store(), Lists()
    store.put(STREAM_QUEUES, queue())
    store.put(PODS, pod())
    gc.unfreeze()
    async with answered_by(lists.handle) as kube:
        listing = asyncio.create_task(watch.keep_relisting(kube, store, SETTINGS))
        await asyncio.wait_for(lists.complete.wait(), 10)
        listing.cancel()
        with suppress(asyncio.CancelledError):
            await listing

    assert gc.get_freeze_count(), "what the lists brought is no work for the collector"
    gc.unfreeze()
    held = holdings(store)
    assert held.queue is not None and held.pods == {}
    assert lists.failed, "a list that fails is not the last"
    assert lists.asked == {kind.path(None): watch.selector(kind) or None for kind in WATCHED}


class Namespaces:
    """Lists of two namespaces, of which we may see what isn't `closed`."""

    def __init__(self, *closed: str) -> None:
        self.closed = closed

    async def handle(self, request: web.Request) -> web.Response:
        if any(request.path.startswith(path) for path in self.closed):
            return web.json_response({"reason": "Forbidden", "message": "no such right"}, status=403)
        items = [queue()] if request.path == STREAM_QUEUES.path("shop") else []
        return web.json_response({"metadata": {"resourceVersion": "9"}, "items": items})


SOME = replace(SETTINGS, namespaces=("gone", "shop"))
GONE = tuple(kind.path("gone") for kind in WATCHED)


async def test_a_namespace_that_is_gone_holds_up_no_other() -> None:
    """With it went the right to list what is in it."""
    store = Store()
    left = queue("left", uid="q2")
    left["metadata"]["namespace"] = "gone"
    store.show(STREAM_QUEUES, left)
    async with answered_by(Namespaces(*GONE).handle) as kube:
        await asyncio.wait_for(watch.list_first(kube, store, SOME), 5)
    assert store.has(KEY)
    assert store.has(("gone", "left")), "what can't be listed isn't gone for that"


@pytest.mark.parametrize("closed", [GONE + tuple(kind.path("shop") for kind in WATCHED), (PODS.path("shop"),)])
async def test_what_must_be_known_is_waited_for(closed: tuple[str, ...]) -> None:
    """No namespace at all, or of a queue's objects not all."""
    async with answered_by(Namespaces(*closed).handle) as kube:
        with pytest.raises(KubeError, match="no such right"):
            await watch.relist(kube, Store(), SOME)

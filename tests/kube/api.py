"""An API server of the test's own, for what a real one can't be made to do at a given moment."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import web
from kubernetes.aio import client as kubernetes_client

from streamqueue.controller.cluster.kube import Kube
from streamqueue.controller.kinds import Body

PATIENCE = 10.0  # seconds


@asynccontextmanager
async def answered_by(handle: Callable[[web.Request], Awaitable[web.Response]]) -> AsyncIterator[Kube]:
    """A client whose every request `handle` answers."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    kube = Kube(kubernetes_client.ApiClient(kubernetes_client.Configuration(host=f"http://127.0.0.1:{port}")))
    try:
        yield kube
    finally:
        await kube.close()
        await runner.cleanup()


def taken(body: Body) -> web.Response:
    """The answer to a write of `body`."""
    fence = int(body["metadata"].get("resourceVersion", 29))
    body["metadata"] = {"uid": "o1", "generation": 1} | body["metadata"] | {"resourceVersion": str(max(30, fence + 1))}
    return web.json_response(body)


class Awaited:
    """A server that tests wait for: it calls `told()` when it has seen something."""

    def __init__(self) -> None:
        self._news = asyncio.Condition()

    async def told(self) -> None:
        async with self._news:
            self._news.notify_all()

    async def comes_to(self, what: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE), self._news:
            await self._news.wait_for(what)

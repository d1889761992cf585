"""An API server of the test's own, for what a real one can't be made to do at a given moment."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import web
from kubernetes.aio import client as kubernetes_client

from streamqueue.controller.kube import Kube


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

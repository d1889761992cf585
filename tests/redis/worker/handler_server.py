"""A real handler on a port, and the runner that posts to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from streamqueue.worker.http.runner import Runner
from streamqueue.worker.http.settings import Target
from streamqueue.worker.settings import Settings
from tests.redis.queue import Queue
from tests.redis.servers.process import free_port
from tests.redis.worker.pod import PATIENCE

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]
Raw = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Handler:
    """`posts` and `bodies`: what arrived; `peers`: one per connection."""

    port: int = field(default_factory=free_port)
    posts: list[web.Request] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    peers: set[object] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/tasks"

    @property
    def attempts(self) -> list[str]:
        return [post.headers["ce-attempt"] for post in self.posts]


@asynccontextmanager
async def handling(answer: Answer, handler: Handler | None = None) -> AsyncIterator[Handler]:
    """`answer` behind POST /tasks; what arrives is noted in `handler`."""
    handler = handler or Handler()

    async def noted(request: web.Request) -> web.StreamResponse:
        handler.posts.append(request)
        handler.bodies.append(await request.read())
        assert request.transport
        handler.peers.add(request.transport.get_extra_info("peername"))
        return await answer(request)

    application = web.Application(client_max_size=32 << 20)
    application.router.add_post("/tasks", noted)
    server = web.AppRunner(application, handler_cancellation=True, shutdown_timeout=0.1)
    await server.setup()
    await web.TCPSite(server, "127.0.0.1", handler.port).start()
    try:
        yield handler
    finally:
        await server.cleanup()


@asynccontextmanager
async def answering(raw: Raw) -> AsyncIterator[str]:
    """A server without any idea of HTTP; its URL."""
    server = await asyncio.start_server(raw, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/tasks"


def runner_of(redis_url: str, handler_url: str, body_field: str | None = None, **more: Any) -> Runner:
    """The runner on the queue of the tests, with short times unless `more` says otherwise."""
    limits = {"visibility_timeout": 3.0, "backoff_initial": 0.05, "timeout": 10.0, **more}
    settings = Settings(
        redis_url=redis_url,
        stream=Queue.stream,
        group=Queue.group,
        consumer="pod",
        **limits,
    )
    return Runner(settings, Target(handler_url, body_field, "application/octet-stream"))


@asynccontextmanager
async def running(
    redis_url: str, handler_url: str, body_field: str | None = None, **more: Any
) -> AsyncIterator[Runner]:
    """It at work; stopped at the end, what runs is finished."""
    runner = runner_of(redis_url, handler_url, body_field, **more)
    serving = asyncio.create_task(runner.serve())
    try:
        yield runner
    finally:
        runner.stop()
        await asyncio.wait_for(serving, PATIENCE)

"""kopf's watches while the API server is away."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import kopf
import pytest
from aiohttp import web

from streamqueue.controller import watch
from streamqueue.controller.store import Store
from tests.unit.controller.bodies import SETTINGS

KOPFS_OWN = 9  # tries, and then it ends the process


class Away:
    """An API server that answers nothing but errors."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.often = asyncio.Event()

    async def handle(self, request: web.Request) -> web.Response:
        self.asked[request.path] += 1
        if max(self.asked.values()) > 2 * KOPFS_OWN:
            self.often.set()
        return web.json_response({"reason": "ServiceUnavailable"}, status=503)


async def test_they_come_back_however_long_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that ends is held back by the kubelet, for minutes, with the API server long there."""
    away = Away()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", away.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"

    def login(**_: Any) -> kopf.ConnectionInfo:
        return kopf.ConnectionInfo(server=url)

    async def stand_down() -> None:
        pass

    monkeypatch.setattr(watch, "_login", login)
    monkeypatch.setattr(watch, "RETRIES", (0.01,))

    watching = asyncio.create_task(watch.run_kopf(Store(), SETTINGS, stand_down, asyncio.Event()))
    often = asyncio.create_task(away.often.wait())
    try:
        await asyncio.wait((watching, often), timeout=30, return_when=asyncio.FIRST_COMPLETED)
        assert often.done() and not watching.done()
    finally:
        watching.cancel()
        often.cancel()
        await asyncio.gather(watching, often, return_exceptions=True)
        await runner.cleanup()


def test_they_are_tried_soon_and_then_now_and_then() -> None:
    pauses = iter(watch.build_settings().networking.error_backoffs)  # type: ignore[arg-type]
    assert next(pauses) == 1.0
    assert [next(pauses) for _ in range(1000)][-1] == 5.0

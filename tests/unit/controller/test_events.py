"""Events are written beside the rounds, and those of one queue hold up no other's."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiohttp import web

from streamqueue.controller.cluster import events
from streamqueue.controller.cluster.events import Recorder
from tests.kube.api import answered_by
from tests.unit.controller.bodies import Body, queue


def of(namespace: str) -> Body:
    body = queue()
    body["metadata"]["namespace"] = namespace
    return body


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_an_event_that_isnt_taken_holds_up_no_other_and_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    """A webhook of one namespace that is away."""
    monkeypatch.setattr(events, "RETRY", 0.01)
    written: asyncio.Queue[str] = asyncio.Queue()
    away = True

    async def handle(request: web.Request) -> web.Response:
        body: dict[str, Any] = await request.json()
        namespace = body["metadata"]["namespace"]
        if away and namespace == "stuck":
            return web.json_response({"message": "failed calling webhook"}, status=status)
        written.put_nowait(namespace)
        return web.json_response(body, status=201)

    async with answered_by(handle) as kube:
        recorder = Recorder(kube)
        for namespace in ("stuck", "shop"):
            recorder.say(of(namespace), "Warning", "Unreachable", "no route")
        writing = asyncio.create_task(recorder.run())
        assert await asyncio.wait_for(written.get(), 5) == "shop"
        away = False
        assert await asyncio.wait_for(written.get(), 5) == "stuck"
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)

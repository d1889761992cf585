"""Events are written beside the rounds, and those of one queue hold up no other's."""

from __future__ import annotations

import asyncio
from collections import Counter
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


async def test_a_queue_that_changes_by_the_second_has_its_share_of_events_and_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A thousand queues on a Redis that comes and goes: etcd keeps each event for an hour."""
    written: Counter[str] = Counter()

    async def handle(request: web.Request) -> web.Response:
        body: dict[str, Any] = await request.json()
        written[body["involvedObject"]["uid"]] += 1
        if body["reason"] == "Last":
            last.set()
        return web.json_response(body, status=201)

    clock, last = Clock(), asyncio.Event()
    monkeypatch.setattr(events, "time", clock)
    async with answered_by(handle) as kube:
        recorder = Recorder(kube)
        for uid in ("q1", "q2"):
            for _ in range(3 * events.BURST if uid == "q1" else 1):
                recorder.say(queue(uid=uid), "Warning", "Unreachable", "no route")
        clock.now += 2 * events.REFILL
        for reason in ("Unreachable", "Unreachable", "OneTooMany"):
            recorder.say(queue(), "Warning", reason, "no route")
        recorder.say(queue(), "Normal", "Working", "it works")
        recorder.say(queue(uid="q2"), "Normal", "Last", "it answers")
        clock.now -= 2 * events.REFILL  # none is too old to be written
        writing = asyncio.create_task(recorder.run())
        await asyncio.wait_for(last.wait(), 10)
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
    assert written == {"q1": events.BURST + 2 + 1, "q2": 2}
    clock.now += (events.BURST + 3) * events.REFILL
    for _ in range(4):
        recorder.say(queue(uid="q3"), "Normal", "Working", "it works")
    assert list(recorder._said) == [("q3", "Normal")], "what is long past is forgotten"


class Clock:
    """For the module's."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def monotonic(self) -> float:
        return self.now

    time = monotonic

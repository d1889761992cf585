"""kopf's watches while the API server is away."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from typing import Any

import kopf
import pytest
from aiohttp import web

from streamqueue.controller import repeats
from streamqueue.controller.cluster import watch
from streamqueue.controller.cluster.store import Store
from streamqueue.controller.repeats import Repeats
from tests.unit.controller.bodies import SETTINGS

KOPFS_OWN = 9  # tries, and then it ends the process


class Away:
    """An API server that answers nothing but errors."""

    def __init__(self, status: int = 503) -> None:
        self.status = status
        self.asked: Counter[str] = Counter()
        self.often = asyncio.Event()

    async def handle(self, request: web.Request) -> web.Response:
        self.asked[request.path] += 1
        if max(self.asked.values()) > 2 * KOPFS_OWN:
            self.often.set()
        return web.json_response({"reason": "Refused"}, status=self.status)


async def watched(away: Away, monkeypatch: pytest.MonkeyPatch) -> None:
    """Until it was asked often; the watches must not have ended by then."""
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


async def test_they_come_back_however_long_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that ends is held back by the kubelet, for minutes, with the API server long there."""
    await watched(Away(), monkeypatch)


class Lines(logging.Handler):
    """What passes the filter."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.addFilter(Repeats())
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


async def test_what_is_refused_again_and_again_is_told_once_in_five_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    lines, away = Lines(), Away(403)
    logging.getLogger().addHandler(lines)
    try:
        await watched(away, monkeypatch)
    finally:
        logging.getLogger().removeHandler(lines)
    assert len([line for line in lines.lines if "APIForbiddenError" in line]) == len(away.asked), lines.lines


def test_another_request_or_cause_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    told = Repeats()

    def passes(message: str, name: str = "kopf.clients") -> bool:
        return bool(told.filter(logging.makeLogRecord({"name": name, "msg": message})))

    failed = "Request attempt #{} failed; will retry: GET http://host/{}?version={} -> {}('a b')"
    tries = [(1, "a", 1, "A"), (2, "a", 2, "A"), (3, "b", 2, "A"), (4, "a", 2, "B"), (5, "b", 3, "A")]
    assert [passes(failed.format(*each)) for each in tries] == [True, False, True, True, False]
    ours = ["full list failed: Unreachable (0): a", "full list failed: Unreachable (0): a", "full list failed: b"]
    assert [passes(each, watch.__name__) for each in ours] == [True, False, True]
    monkeypatch.setattr(repeats, "INTERVAL", 0.0)
    assert passes(failed.format(*tries[-1])), "it lasts"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("kopf.clients", "Request attempt #9/9 failed; escalating: GET http://host/a -> A()"),
        ("streamqueue.loop", "Request attempt #1 failed; will retry: GET http://host/a -> A()"),
    ],
)
def test_other_words_pass_as_often_as_they_come(name: str, message: str) -> None:
    record, told = logging.makeLogRecord({"name": name, "msg": message}), Repeats()
    assert all(told.filter(record) for _ in range(2))


def test_they_are_tried_soon_and_then_now_and_then() -> None:
    pauses = iter(watch.build_settings().networking.error_backoffs)  # type: ignore[arg-type]
    assert next(pauses) == 1.0
    assert [next(pauses) for _ in range(1000)][-1] == 5.0

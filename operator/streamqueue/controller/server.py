"""`/healthz`, `/readyz` and `/metrics`: probes that tell the truth about the loop, not about the process.

`/decisions/NAMESPACE/NAME`: why a queue has as many workers as it has. The leader alone knows.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from streamqueue.controller.cluster.store import Key
from streamqueue.controller.status.metrics import LEADER, LOOP_AGE

# The answer for a queue; None where it is not known.
Decisions = Callable[[Key], dict[str, Any] | None]

STALE = 30.0  # seconds without a tick of the loop: something hangs, a restart mends it


class Health:
    """What the probes ask. A standby is healthy and ready without ticking."""

    def __init__(self) -> None:
        self.synced = False  # the first full list is complete
        self.last_tick: Callable[[], float | None] = lambda: None  # monotonic; None while standing by
        self.decisions: Decisions | None = None  # None while standing by

        LOOP_AGE.set_function(self.age)
        LEADER.set_function(lambda: int(self.last_tick() is not None))

    def age(self) -> float:
        """Seconds since the loop last ticked; 0 while standing by."""
        tick = self.last_tick()
        return time.monotonic() - tick if tick is not None else 0.0

    def live(self) -> bool:
        return self.age() < STALE

    def ready(self) -> bool:
        return self.synced and self.live()


async def serve(health: Health, port: int) -> web.AppRunner:
    """Start the server; the caller cleans up the runner it gets."""

    def probe(ask: Callable[[], bool]) -> Callable[[web.Request], object]:
        async def answer(_: web.Request) -> web.Response:
            return web.Response(text="ok\n") if ask() else web.Response(status=503, text="not now\n")

        return answer

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def decisions(request: web.Request) -> web.Response:
        if health.decisions is None:
            return web.json_response({"message": "this replica stands by: ask the one that leads"}, status=503)
        queue = request.match_info["namespace"], request.match_info["name"]
        found = health.decisions(queue)
        if found is None:
            return web.json_response({"message": f"nothing decided yet for {queue[0]}/{queue[1]}"}, status=404)
        return web.json_response(found)

    app = web.Application()
    app.router.add_get("/healthz", probe(health.live))  # type: ignore[arg-type]
    app.router.add_get("/readyz", probe(health.ready))  # type: ignore[arg-type]
    app.router.add_get("/metrics", metrics)
    app.router.add_get("/decisions/{namespace}/{name}", decisions)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, port=port).start()
    return runner

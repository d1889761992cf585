"""`python3 -m streamqueue.controller`: the operator's process."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import sys
import time
from typing import Any

from streamqueue.controller.cluster.events import Recorder
from streamqueue.controller.cluster.kube import Kube
from streamqueue.controller.cluster.leader import Leader, LeaseLost
from streamqueue.controller.cluster.store import Key, Store
from streamqueue.controller.cluster.watch import NotInstalled, keep_relisting, list_first, run_kopf
from streamqueue.controller.decisions import decisions
from streamqueue.controller.endpoints.endpoints import Endpoints
from streamqueue.controller.kinds import DEPLOYMENTS, PODS, STREAM_QUEUES
from streamqueue.controller.loop import Loop
from streamqueue.controller.repeats import Repeats
from streamqueue.controller.round import Rounds
from streamqueue.controller.server import Decisions, Health, serve
from streamqueue.controller.settings import Settings, SettingsError

log = logging.getLogger("streamqueue")


async def run(settings: Settings) -> None:
    """Until SIGTERM, or until the lease is lost."""
    health, store, kube = Health(), Store(), await Kube.connect()
    leader = Leader(kube, settings.namespace, settings.lease, f"{settings.pod_name}_{secrets.token_hex(4)}")
    if settings.leader_election:
        kube.may_write = leader.leads
    server = await serve(health, settings.port)
    stop = asyncio.Event()
    lead = asyncio.create_task(_lead(settings, health, store, kube, leader))

    async def stand_down() -> None:
        lead.cancel()
        await asyncio.gather(lead, return_exceptions=True)
        await leader.release()

    try:
        # kopf cancels what was started after it when it ends: it comes last, and is the first to see SIGTERM.
        watching = asyncio.create_task(run_kopf(store, settings, stand_down, stop))
        await asyncio.wait({lead, watching}, return_when=asyncio.FIRST_COMPLETED)
        stop.set()  # cancelled all at once, as the end of an event loop does it, kopf's tasks wait for each other
        await watching
        if lead.done() and not lead.cancelled():
            lead.result()
    finally:
        await stand_down()
        await server.cleanup()
        await kube.close()


async def _lead(settings: Settings, health: Health, store: Store, kube: Kube, leader: Leader) -> None:
    """Stand by with a warm store; poll while leading."""
    await list_first(kube, store, settings)
    health.synced = True
    endpoints = Endpoints(kube)
    recorder = Recorder(kube)
    loop = Loop(store, endpoints, Rounds(kube, recorder, store, settings, endpoints))
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(keep_relisting(kube, store, settings))
            if settings.leader_election:
                await leader.acquire()
                group.create_task(leader.keep())
                # What ended the leader before us may have cut our watch too, which is silent for a minute then. The
                # counts, which hold, are asked for anew.
                await list_first(kube, store, settings, (STREAM_QUEUES, DEPLOYMENTS))
                # Beside the rounds: which pods there are matters once one may be let go, and a new leader lets none.
                group.create_task(list_first(kube, store, settings, (STREAM_QUEUES, PODS)))
            health.last_tick = lambda: loop.last_tick
            health.decisions = _decisions(loop)
            group.create_task(recorder.run())
            group.create_task(loop.run())
    finally:
        await endpoints.close()


def _decisions(loop: Loop) -> Decisions:
    leading_since = time.time()

    def find(queue: Key) -> dict[str, Any] | None:
        runtime = loop.runtime(queue)
        return None if runtime is None else decisions(runtime, leading_since, time.time() - time.monotonic())

    return find


def main() -> int:
    try:
        settings = Settings.from_env(os.environ)
    except SettingsError as error:
        print(f"streamqueue: {error}", file=sys.stderr)
        return 2
    logging.basicConfig(level=settings.log_level, format="%(asctime)s %(levelname)-7s %(name)s: %(message)s")
    logging.getLogger("kopf").setLevel(logging.WARNING)
    for handler in logging.getLogger().handlers:
        handler.addFilter(Repeats())
    ended = False
    try:
        asyncio.run(run(settings))
    except* (LeaseLost, NotInstalled) as group:
        log.error("ending: %s", group.exceptions[0])  # noqa: TRY400 - the reason says it all
        ended = True
    return 1 if ended else 0


if __name__ == "__main__":
    sys.exit(main())

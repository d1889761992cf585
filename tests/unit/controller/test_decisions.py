"""Why so many workers: what the operator's server answers, over real HTTP."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import aiohttp

from streamqueue.api.spec import Scaling
from streamqueue.controller.decisions import decisions
from streamqueue.controller.runtime import Runtime
from streamqueue.controller.server import Health, serve
from streamqueue.scaling import Observation, decide
from streamqueue.scaling.coldstart import ColdStart
from streamqueue.scaling.deadline.service import ServiceTime, Spent

HEALTH = Health()  # registers a metric: one a process


@asynccontextmanager
async def served(health: Health) -> AsyncIterator[str]:
    runner = await serve(health, 0)
    try:
        (port,) = [address[1] for address in runner.addresses if len(address) == 2]  # IPv4 has a port of its own
        yield f"http://127.0.0.1:{port}/decisions/shop/orders"
    finally:
        await runner.cleanup()


async def ask(url: str) -> tuple[int, dict[str, object]]:
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return response.status, await response.json()


def a_runtime() -> Runtime:
    """A queue that was empty and then had 40 tasks, on a clock that began at 100."""
    runtime, spec = Runtime("uid"), Scaling(max_replicas=8)
    for second, waiting in enumerate([0, 0, 0, 40, 40]):
        observation = Observation(now=100.0 + second, known=True, waiting=waiting, oldest_waiting_age=float(second))
        decision, runtime.memory = decide(spec, runtime.memory, observation)
        runtime.journal.note(observation, decision)
    return runtime


async def test_a_standby_says_so_and_a_leader_knows_its_own_queues() -> None:
    runtime = a_runtime()
    async with served(HEALTH) as url:
        HEALTH.decisions = None
        status, said = await ask(url)
        assert (status, said) == (503, {"message": "this replica stands by: ask the one that leads"})
        HEALTH.decisions = lambda key: decisions(runtime, 1_000.0, 900.0) if key == ("shop", "orders") else None
        assert (await ask(url))[0] == 200
        status, said = await ask(url.replace("orders", "other"))
        assert (status, said) == (404, {"message": "nothing decided yet for shop/other"})


def test_times_are_epoch_seconds_and_all_of_it_is_json() -> None:
    answer = json.loads(json.dumps(decisions(a_runtime(), 1_000.0, 900.0)))
    assert answer["leadingSince"] == 1_000.0
    first, second = answer["entries"]
    assert (first["at"], first["until"], first["reason"], first["waiting"]) == (1_000.0, 1_002.0, "Idle", 0)
    assert (second["at"], second["had"], second["waiting"]) == (1_003.0, 0, 40)
    assert second["replicas"] > 0 and second["sentence"].startswith("0 -> ")


def test_what_was_never_seen_is_not_told_as_learnt() -> None:
    answer = decisions(a_runtime(), 0.0, 0.0)
    assert (answer["serviceSeconds"], answer["coldStartSeconds"]) == (None, None)
    assert decisions(Runtime("uid"), 0.0, 0.0)["entries"] == []


def test_what_was_learnt_is_told() -> None:
    runtime = a_runtime()
    assert runtime.memory and runtime.memory.learnt
    learnt = replace(runtime.memory.learnt, service=ServiceTime(long=Spent(busy=40.0, tasks=20.0)))
    runtime.memory = replace(runtime.memory, learnt=learnt, cold=ColdStart((7.0, 9.0)))
    answer = decisions(runtime, 0.0, 0.0)
    assert (answer["serviceSeconds"], answer["coldStartSeconds"]) == (2.0, 8.0)

"""The long storm: everything at once, for as many minutes as `--minutes` says."""

from __future__ import annotations

import asyncio
from dataclasses import asdict

import pytest
from benchmarks.report import machine, publish

from tests.chaos.actors import VISIBILITY
from tests.chaos.storm import TICK, Storm
from tests.chaos.telling import Progress, page
from tests.chaos.weather import Weather
from tests.redis.servers.install import install
from tests.redis.servers.process import DURABLE, RunningServer

SERVER = "redis-7.0"
RATE = 40.0  # tasks a second


def weather(minutes: float) -> Weather:
    """In each tick a restart with 2 %, a kill with 8 % and the network with 5 %, as in Docket's suite."""
    return Weather(
        tasks=int(RATE * 60 * minutes) // 50 * 50,
        producers=5,
        workers=10,
        rate=RATE,
        kill=TICK / 0.08,
        restart=TICK / 0.02,
        network=TICK / 0.05,
        loss=0.001,
        deadline=minutes * 60 * 2 + 300,
        term=5.0,
        cordon=5.0,
        failover=20.0,
        long=0.01,
        chance=True,
    )


@pytest.mark.long
@pytest.mark.timeout(8000)
async def test_a_long_storm(minutes: float, capsys: pytest.CaptureFixture[str]) -> None:
    plan = weather(minutes)
    primary = await asyncio.to_thread(RunningServer, install(SERVER), DURABLE)
    replica = await asyncio.to_thread(RunningServer, install(SERVER), DURABLE)
    try:
        with capsys.disabled():
            after = await Storm(plan, primary, seed=11, tell=Progress("long storm"), replica=replica).rage()
    finally:
        primary.close()
        replica.close()
    beginning = (
        f"{plan.tasks:,} tasks of 10 ms, one of a hundred of up to {2 * VISIBILITY:.0f} s with a visibility timeout of "
        f"{VISIBILITY:.0f} s; {plan.workers} workers, {SERVER} with an append-only file and a replica. On average a "
        f"worker is killed each {plan.kill:.1f} s and another told to end each {plan.term:.0f} s, Redis restarts each "
        f"{plan.restart:.1f} s and fails over each {plan.failover:.0f} s, all connections are cut or slow each "
        f"{plan.network:.0f} s, and of all replies {plan.loss:.1%} never arrive. What is sent waits for the replica."
    )
    text = page("A long storm", beginning, {"StreamQueue's worker": after})
    with capsys.disabled():
        publish("chaos-long", text, {"machine": machine(), "weather": asdict(plan), "result": after.figures()})
    assert len(after.acknowledged) == plan.tasks, after
    assert after.lost == 0, after
    assert (after.pending, after.consumers, after.dead) == (0, 0, 0), after
    assert after.duplicates <= after.allowed_duplicates, after
    assert min(after.faults[kind] for kind in ("kill", "term", "cordon", "restart", "failover", "network")) > 0, (
        "no storm"
    )

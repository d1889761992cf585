"""100,000 tasks in a storm: none lost, doubled by faults alone; beside the loop that people write, which loses some."""

from __future__ import annotations

import asyncio
from dataclasses import asdict, replace

import pytest
from benchmarks.report import machine, publish

from tests.chaos.storm import Storm
from tests.chaos.telling import Progress, page
from tests.chaos.weather import NAIVE, NEVER, SDK, Aftermath, Loop, Weather
from tests.redis.servers.install import install
from tests.redis.servers.process import DURABLE, RunningServer

SERVER = "redis-7.0"
WEATHER = Weather(
    tasks=100_000,
    producers=4,
    workers=8,
    rate=800.0,
    kill=1.0,
    cordon=3.0,
    restart=10.0,
    network=30.0,
    loss=0.001,
    deadline=1500.0,
)
BEGINNING = (
    f"Tasks of 10 ms on the average, {WEATHER.workers} workers, {SERVER} with an append-only file. "
    f"Each {WEATHER.kill:.0f} s a worker is killed (SIGKILL) and started anew, each {WEATHER.cordon:.0f} s one is "
    f"told to take no more for two seconds, each {WEATHER.restart:.0f} s Redis is "
    f"killed or stopped and started from its append-only file, each {WEATHER.network:.0f} s all connections are cut or "
    f"slow, and of all replies {WEATHER.loss:.2%} never arrive."
)


END = """
The naive loop reads ten, works, acknowledges each, and claims to itself what hangs (`tests/chaos/naive.py`).
What it loses stays pending; what it doubles without a crash came from sends that the client repeated.
"""


async def storm(name: str, loop: Loop, weather: Weather) -> Aftermath:
    running = await asyncio.to_thread(RunningServer, install(SERVER), DURABLE)
    try:
        return await Storm(weather, running, seed=7, loop=loop, tell=Progress(name)).rage()
    finally:
        running.close()


@pytest.mark.timeout(4000)
async def test_a_hundred_thousand_tasks_in_a_storm(capsys: pytest.CaptureFixture[str]) -> None:
    with capsys.disabled():
        results = {
            "StreamQueue's worker": await storm("worker", SDK, WEATHER),
            # It loses some with every kill: a fifth of the tasks shows it. It can't be told anything.
            "the naive loop": await storm("naive", NAIVE, replace(WEATHER, tasks=WEATHER.tasks // 5, cordon=NEVER)),
        }
        figures = {name: after.figures() for name, after in results.items()}
        text = page("Tasks in a storm", BEGINNING, results) + END
        publish("chaos", text, {"machine": machine(), "weather": asdict(WEATHER), "results": figures})
    ours, naive = results.values()
    assert len(ours.acknowledged) == WEATHER.tasks, ours
    assert ours.lost == 0, ours
    assert (ours.pending, ours.consumers, ours.dead) == (0, 0, 0), ours
    assert ours.duplicates <= ours.allowed_duplicates, ours
    assert min(ours.faults[kind] for kind in ("restart", "kill", "cordon", "network", "lost reply")) > 0, "no storm"
    assert naive.lost > 0 or naive.duplicates > naive.allowed_duplicates, "a storm that nobody loses proves nothing"

"""20,000 tasks through ten workers in a storm: none lost, doubled only by faults."""

from __future__ import annotations

import asyncio

import pytest

from tests.chaos.storm import Storm, Weather
from tests.redis.servers.install import install
from tests.redis.servers.process import RunningServer

FULL = Weather(tasks=20_000, producers=5, workers=10, rate=250.0)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("server", ["redis-7.0", "valkey-9.1"])
async def test_twenty_thousand_tasks_in_a_storm(server: str) -> None:
    running = await asyncio.to_thread(RunningServer, install(server), {"appendonly": "yes", "appendfsync": "always"})
    try:
        after = await Storm(FULL, running, seed=7).rage()
    finally:
        running.close()
    print(after)
    assert len(after.acknowledged) == FULL.tasks, after
    assert not after.lost, after
    assert (after.pending, after.dead) == (0, 0), after
    assert after.duplicates <= after.allowed_duplicates, after
    assert min(after.faults[kind] for kind in ("restart", "kill", "network")) > 0, "no storm: choose another seed"

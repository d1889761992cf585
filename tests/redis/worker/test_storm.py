"""A short storm; tests/chaos has the full one."""

from __future__ import annotations

import pytest

from tests.chaos.storm import Storm
from tests.chaos.weather import BATCHES, SDK, Loop, Weather
from tests.redis.servers.process import RunningServer

SHORT = Weather(
    tasks=1200,
    producers=2,
    workers=3,
    rate=250.0,
    kill=2.0,
    cordon=1.0,
    restart=4.0,
    network=3.0,
    loss=0.02,
    deadline=200.0,
)


# Servers differ in what scripts do, and the tests of scripts run on all; a storm is about the client.
@pytest.mark.on("redis-7.0", "valkey-9.1")
@pytest.mark.parametrize("loop", [SDK, BATCHES], ids=lambda loop: loop.name)
async def test_a_short_storm_loses_nothing(durable_server: RunningServer, loop: Loop) -> None:
    after = await Storm(SHORT, durable_server, seed=1, loop=loop).rage()
    print(after)
    assert len(after.acknowledged) == SHORT.tasks and after.lost == 0, after
    assert (after.pending, after.consumers, after.dead) == (0, 0, 0), after
    assert after.duplicates <= after.allowed_duplicates, after
    assert min(after.faults[kind] for kind in ("restart", "kill", "cordon", "network", "lost reply")) > 0, "no storm"

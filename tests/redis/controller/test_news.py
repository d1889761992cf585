"""A handler that fails all day makes no event of each failure."""

from __future__ import annotations

import logging

import pytest

from streamqueue.controller import recovery
from streamqueue.controller.kinds import PODS
from tests.redis.controller.loops import POD, loop_over, queue_on, running, sample, store_of
from tests.redis.queue import Queue
from tests.redis.servers.process import RunningServer
from tests.redis.worker.pod import until
from tests.unit.controller.bodies import container, pod

# What is asked of the server is a pending entry.
pytestmark = pytest.mark.on("redis-7.0", "valkey-9.1")


async def test_what_came_back_is_told_at_once_and_then_now_and_then(
    queue: Queue, shared_server: RunningServer, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)
    store = store_of(queue_on(shared_server, scaling={"pollingInterval": "200ms"}))

    async def crash(number: int) -> None:
        """A container of the pod ends with the task; until that is back."""
        await queue.read(POD)
        ended = {"finishedAt": "2100-01-01T00:00:00Z", "exitCode": 1, "containerID": f"c{number}"}
        store.show(PODS, pod(POD, version=number, containerStatuses=[container(state={"terminated": ended})]))
        await until(lambda: sample("reclaimed_total") == number, "it came back")

    def told() -> list[str]:
        return [line.rpartition(": ")[2] for line in caplog.text.splitlines() if " Recovered: " in line]

    await queue.add()
    async with loop_over(store) as loop, running(loop):
        for number in (1, 2, 3):
            await crash(number)
        assert [line.partition(" ")[0] for line in told()] == ["1"]
        monkeypatch.setattr(recovery, "NEWS_INTERVAL", 0.0)
        await until(lambda: len(told()) == 2, "the others are told of")
        assert told()[1].startswith("2 ")

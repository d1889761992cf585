"""What came back from workers that live is counted, whoever returned it; and nothing else is."""

from __future__ import annotations

import math
import time
from typing import Any

import pytest

from streamqueue.api.timestamps import rfc3339
from streamqueue.controller import live_returns
from streamqueue.controller.kinds import PODS
from streamqueue.maintenance import Cause, abandoned, release, sweep, take_returns
from tests.redis.controller.loops import KEY, POD, loop_over, queue_on, running, sample, store_of
from tests.redis.queue import Queue, spec
from tests.redis.servers.process import RunningServer
from tests.redis.worker.pod import until
from tests.redis.worker.stores import KEYS
from tests.unit.controller.bodies import container, pod

HOUR = 3600.0


def running_for(seconds: float, name: str = "handler") -> dict[str, Any]:
    """The pod, whose container of that name began so long ago."""
    began = rfc3339(time.time() - seconds)
    return {POD: pod(POD, containerStatuses=[container(name, state={"running": {"startedAt": began}})])}


async def time_out(queue: Queue, consumer: str = POD) -> None:
    """As the CronJob does it, which knows no pods."""
    await queue.add()
    await queue.read(consumer)
    assert (await queue.swept(spec())).returned == 1


async def leave_behind(queue: Queue) -> None:
    await queue.add(2)
    await queue.read(POD, count=1)
    await queue.age(61)
    await queue.read(POD, count=1)
    assert (await abandoned(queue.redis, spec(), POD)).returned == 1


async def counted(queue: Queue, pods: dict[str, Any], skew: float = 0.0) -> dict[Cause, float]:
    """The metric, once the operator has looked."""
    await live_returns.count(queue.redis, KEYS, KEY, pods, skew)
    return shown()


def shown() -> dict[Cause, float]:
    values = {cause: sample("live_returns_total", cause=cause) for cause in Cause}
    return {cause: value for cause, value in values.items() if value}


@pytest.mark.parametrize("cause", Cause)
async def test_a_return_from_a_live_owner_is_counted_once(queue: Queue, cause: Cause) -> None:
    await (time_out if cause is Cause.VISIBILITY_TIMEOUT else leave_behind)(queue)
    assert (await queue.snapshot()).uncounted_returns == 1
    assert await counted(queue, running_for(HOUR)) == {cause: 1}
    assert (await queue.snapshot()).uncounted_returns == 0
    assert await counted(queue, running_for(HOUR)) == {cause: 1}


async def test_the_runner_reads_for_an_http_handler(queue: Queue) -> None:
    await time_out(queue, f"{POD}.a1")
    assert await counted(queue, running_for(HOUR, "runner")) == {Cause.VISIBILITY_TIMEOUT: 1}


@pytest.mark.parametrize("held_by", ["a pod that is gone", "a name of many pods", "a container that has ended"])
async def test_of_other_owners_nothing_is_said(queue: Queue, held_by: str) -> None:
    await time_out(queue, "worker-1" if held_by == "a name of many pods" else POD)
    pods = {
        "a pod that is gone": {},
        "a name of many pods": running_for(HOUR),
        "a container that has ended": running_for(30),  # the one that was handed the entry, a minute ago
    }
    assert await counted(queue, pods[held_by]) == {}
    assert await counted(queue, running_for(HOUR)) == {}, "it was looked at, and is over"


async def test_times_of_the_server_are_told_in_ours(queue: Queue) -> None:
    await time_out(queue)
    assert await counted(queue, running_for(90), skew=60.0) == {}


async def test_what_a_dead_worker_held_is_no_return_from_a_live_one(queue: Queue) -> None:
    await queue.add()
    await queue.read(POD)
    assert (await release(queue.redis, spec(), POD, math.inf, "OOMKilled")).returned == 1
    assert (await queue.snapshot()).uncounted_returns == 0


async def test_a_count_that_cant_be_kept_keeps_no_work_back(queue: Queue) -> None:
    await queue.redis.set(KEYS.returns, "somebody else's")
    await time_out(queue)
    assert await queue.pending() == []


async def test_without_an_operator_the_notes_are_bounded_and_end(queue: Queue) -> None:
    await queue.add(2000)
    await queue.read(POD, count=2000)
    await queue.idle(0.05)
    quick = spec(visibility=0.05)
    await queue.settle(quick)
    assert (await sweep(queue.redis, quick)).returned == 2000
    assert 1000 <= await queue.redis.xlen(KEYS.returns) < 1300
    assert await queue.redis.pttl(KEYS.returns) > 0


async def test_notes_of_another_version_are_passed_over(queue: Queue) -> None:
    for fields in ({"consumer": POD}, {"consumer": POD, "cause": "boredom", "delivered-at": 1}):
        await queue.redis.xadd(KEYS.returns, fields)
    await time_out(queue)
    assert [found.cause for found in await take_returns(queue.redis, KEYS)] == [Cause.VISIBILITY_TIMEOUT]
    assert (await queue.snapshot()).uncounted_returns == 0


@pytest.mark.process
async def test_the_operators_next_look_counts(queue: Queue, shared_server: RunningServer) -> None:
    await time_out(queue)
    store = store_of(queue_on(shared_server))
    store.show(PODS, *running_for(HOUR).values())
    async with loop_over(store) as loop, running(loop):
        await until(shown, "the count")
    assert shown() == {Cause.VISIBILITY_TIMEOUT: 1}

"""A group that vanishes under way goes on where it stood: nothing is skipped, and what was done stays done."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from streamqueue.controller.cluster.events import Recorder
from streamqueue.controller.cluster.store import Store
from streamqueue.controller.groups import with_group
from streamqueue.controller.kinds import STREAM_QUEUES
from streamqueue.controller.loop import Loop
from streamqueue.controller.runtime import Runtime
from streamqueue.streams import Snapshot
from tests.kube.api import answered_by
from tests.redis.controller.loops import KEY, loop_over, queue_on, running, write
from tests.redis.queue import Queue, spec
from tests.redis.servers.process import RunningServer
from tests.redis.worker.pod import until
from tests.unit.controller.bodies import queue as a_queue


@pytest.fixture(params=["0", "$"])
async def loop(request: pytest.FixtureRequest, queue: Queue, shared_server: RunningServer) -> AsyncIterator[Loop]:
    """It has looked at a queue of two tasks, which are done; `param`: where the queue's group begins."""
    store = Store()
    scaling = {"pollingInterval": "200ms"}
    store.show(STREAM_QUEUES, queue_on(shared_server, startFrom=request.param, scaling=scaling))
    await queue.add(2)
    await queue.ack(*[entry for entry, _ in await queue.read()])
    async with loop_over(store) as loop, running(loop):
        await seen(loop, pending=0)
        yield loop


async def seen(loop: Loop, **counts: int) -> None:
    """The loop has counted so many entries, in the group as it is now."""

    def has_looked() -> bool:
        runtime = loop.runtime(KEY)
        look = runtime.counted if runtime else None
        return (
            isinstance(look, Snapshot) and look.group_exists and all(getattr(look, n) == c for n, c in counts.items())
        )

    await until(has_looked, "a look")


async def there_again(redis: Redis) -> None:
    async def groups() -> bool:
        return bool(await redis.exists(Queue.stream) and await redis.xinfo_groups(Queue.stream))

    await until(groups, "the group is there again")


async def test_what_comes_first_after_all_was_lost_is_not_skipped(redis: Redis, queue: Queue, loop: Loop) -> None:
    """As after a restart of a Redis that keeps nothing: the very task that tells the operator."""
    async with redis.pipeline() as pipe:
        pipe.delete(queue.stream)
        pipe.xadd(queue.stream, {"task": "first"})
        await pipe.execute()
    await there_again(redis)
    assert [fields["task"] for _, fields in await queue.read()] == ["first"]


async def test_a_group_that_was_destroyed_goes_on(redis: Redis, queue: Queue, loop: Loop) -> None:
    added = await queue.add(4)
    await queue.read(count=3)
    await queue.ack(added[0])
    await seen(loop, pending=2, undelivered=1)
    await redis.xgroup_destroy(queue.stream, queue.group)
    await there_again(redis)
    assert [entry for entry, _ in await queue.read()] == added[1:]


@pytest.mark.parametrize("had_group", [True, False])
async def test_a_group_that_others_made_meanwhile_is_not_called_ours(
    redis: Redis, queue: Queue, caplog: pytest.LogCaptureFixture, had_group: bool
) -> None:
    """A worker of the SDK that finds it gone makes it at once, between the operator's look and its hand."""
    caplog.set_level(logging.INFO)
    missing = Snapshot(time=0.0, stream_exists=True, group_exists=False)
    runtime = Runtime("q1", had_group=had_group)
    async with answered_by(write) as kube:
        await with_group(redis, Recorder(kube), a_queue(), runtime, spec(), missing)
    assert runtime.had_group
    assert "GroupCreated" not in caplog.text and "goes on at" not in caplog.text
    assert ("chose its beginning" in caplog.text) is had_group

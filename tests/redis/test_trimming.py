"""Producers that trim what nobody was handed: told on servers that can tell it, and nothing else is taken for it."""

from __future__ import annotations

from itertools import combinations

import pytest
from redis.asyncio import Redis

from streamqueue.api.spec import Retention, RetentionPolicy
from streamqueue.controller.status.trimming import lost_pending, lost_undelivered
from streamqueue.maintenance import sweep
from tests.redis.queue import Queue, spec
from tests.redis.servers.install import Server


@pytest.fixture
async def queue(redis: Redis) -> Queue:
    """Ten entries; two are done, two in a worker's hands, six wait."""
    queue = Queue(redis)
    await queue.create()
    await queue.add(10)
    await queue.read(count=2)
    await queue.ack(*await queue.pending())
    await queue.read(count=2)
    return queue


def tells(server: Server) -> bool:
    return not server.name.startswith("redis-6")


async def test_a_producers_maxlen_is_counted(queue: Queue, server: Server) -> None:
    before = await queue.snapshot()
    await queue.redis.xadd(queue.stream, {"task": "new"}, maxlen=4, approximate=False)
    after = await queue.snapshot()
    assert after.undelivered == 4
    assert lost_undelivered(before, after) == (3 if tells(server) else 0)
    assert lost_pending(after) is tells(server)
    assert lost_undelivered(after, await queue.snapshot()) == 0


async def test_a_trim_that_takes_done_entries_alone_is_none(queue: Queue) -> None:
    before = await queue.snapshot()
    await queue.redis.xtrim(queue.stream, maxlen=8, approximate=False)
    after = await queue.snapshot()
    assert lost_undelivered(before, after) == 0 and not lost_pending(after)


async def test_our_own_trim_is_none(queue: Queue) -> None:
    before = await queue.snapshot()
    kept = Retention(RetentionPolicy.ACKNOWLEDGED, max_length=0)
    assert (await sweep(queue.redis, spec(retention=kept))).trimmed == 2
    after = await queue.snapshot()
    assert lost_undelivered(before, after) == 0 and not lost_pending(after)


@pytest.mark.parametrize("read_on", [False, True])
async def test_tasks_that_a_person_deletes_are_none(queue: Queue, server: Server, read_on: bool) -> None:
    before = await queue.snapshot()
    entries = [entry for entry, _ in await queue.entries()]
    gone = entries[2:7]  # the pending two, and the first three that wait
    if server.name == "redis-8.6" and read_on:
        await queue.redis.execute_command("XDELEX", queue.stream, "IDS", len(gone), *gone)
    else:
        await queue.redis.xdel(queue.stream, *gone)
    looks = [before, await queue.snapshot()]
    if read_on:
        await queue.read(count=2)
        looks.append(await queue.snapshot())
    assert not any(lost_undelivered(first, then) for first, then in combinations(looks, 2))
    assert not any(lost_pending(each) for each in looks)


async def test_tasks_that_handlers_delete_are_none(queue: Queue, server: Server) -> None:
    """XACK and XDEL, or XACKDEL where there is one, as each task is done."""
    before = await queue.snapshot()
    for _ in range(3):
        for entry_id in await queue.pending():
            if server.name == "redis-8.6":
                await queue.redis.execute_command("XACKDEL", queue.stream, queue.group, "IDS", 1, entry_id)
            else:
                await queue.ack(entry_id)
                await queue.redis.xdel(queue.stream, entry_id)
        after = await queue.snapshot()
        assert lost_undelivered(before, after) == 0 and not lost_pending(after)
        before = after
        await queue.read(count=2)

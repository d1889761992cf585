"""Where one task is, by its id alone."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis

from streamqueue import Queue as Producer
from streamqueue.api.keys import Keys
from streamqueue.streams.whereabouts import Whereabouts, find
from tests.redis.queue import Queue
from tests.redis.servers.process import RunningServer
from tests.redis.worker.stores import KEYS, PARKED, ack, retry, settle, store, take

# In the order of the stream: numbers that neither text nor Lua's doubles would sort so.
IDS = ("5-9", "5-10", "5-9007199254740992", "5-9007199254740993", "40-0", "40-1", "18446744073709551614-1")


@pytest.mark.parametrize("delivered", IDS)
async def test_what_comes_after_the_last_delivered_entry_waits(redis: Redis, delivered: str) -> None:
    for each in IDS:
        await redis.xadd("orders", {"n": each}, id=each)
    for group, last in (("workers", delivered), ("a", IDS[0]), ("z", IDS[-1])):  # others are elsewhere
        await redis.xgroup_create("orders", group, last)
    places = [(await find(redis, KEYS, each)).place for each in IDS]
    after = IDS[IDS.index(delivered) + 1 :]
    assert places == ["waiting" if each in after else "" for each in IDS]
    assert (await find(redis, KEYS, "41-0")).place == "", "what isn't there doesn't wait"


async def test_from_hand_to_hand(queue: Queue) -> None:
    (task,) = await queue.add()

    async def where() -> Whereabouts:
        return await find(queue.redis, KEYS, task)

    assert await where() == Whereabouts({}, "waiting", None, None)
    a = store(queue.redis, "a")
    (entry,) = await take(a)
    await queue.age(100)
    there = await where()
    assert (there.place, there.consumer) == ("pending", "a") and there.idle is not None and 99 < there.idle < 150
    await settle(a, retry(entry))
    assert ((await where()).place, (await where()).consumer) == ("parked", PARKED)
    (entry,) = await take(a)
    await settle(a, ack(entry))
    assert await where() == Whereabouts({}, "", None, None)


async def test_what_was_sent_is_known_by_its_mark(redis: Redis, shared_server: RunningServer) -> None:
    async with Producer(shared_server.url, "orders") as orders:
        await orders.send({"n": 1}, id="now")
        await orders.send({"n": 1}, id="later", delay=100)
    for keys in (KEYS, Keys("orders", "nobody")):
        assert [(await find(redis, keys, each)).place for each in ("now", "later", "never")] == [
            *("waiting", "delayed", "")
        ], "though there is no group"
    await redis.zrem("{orders}:delayed", "later")
    assert (await find(redis, KEYS, "later")).place == ""

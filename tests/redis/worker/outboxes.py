"""What the tests of outboxes share: results for another slot, and for another server."""

from __future__ import annotations

from collections import Counter

import pytest
from redis.asyncio import Redis

from streamqueue.maintenance.relay import relay
from streamqueue.streams import RedisProblem, outbox, tasks
from streamqueue.streams.settlement import Emit
from streamqueue.streams.taken import Taken
from streamqueue.streams.tasks import TaskStore
from tests.redis.failing import failing_at
from tests.redis.queue import Queue
from tests.redis.worker.stores import KEYS, Ended, ack, settle, store, take

FAR = "paid"  # of another slot than `orders`


async def taken(queue: Queue, count: int) -> tuple[TaskStore, list[Taken]]:
    await queue.add(count)
    a = store(queue.redis, "a")
    return a, await take(a)


def handing_on(entry: Taken, *values: str, stream: str = FAR, on_next_redis: bool = False) -> Ended:
    return ack(entry, emits=tuple(Emit(stream, [("of", value)], on_next_redis) for value in values))


async def arrived(there: Redis, stream: str = FAR) -> list[str]:
    return [fields[b"of"].decode() for _, fields in await there.xrange(stream)]


async def emptied(queue: Queue, there: Redis) -> None:
    """No row and no key of an outbox is left, and the marks will go."""
    assert await queue.redis.keys("*outbox*") == []
    assert (await queue.snapshot()).outboxed == 0
    left = [await there.pttl(marks) for marks in await there.keys("*seen*")]
    assert left and all(0 < each <= outbox.KEPT for each in left)


async def each_arrives_once(
    queue: Queue, far: Redis, name: str, monkeypatch: pytest.MonkeyPatch, *, on_next_redis: bool = False
) -> None:
    """Whichever call of the script `name` fails."""
    module = tasks if name == "_EXCHANGE" else outbox
    original = getattr(module, name)
    for nth in range(1, 200):
        await queue.redis.flushall()
        await far.flushall()
        await queue.create()
        a, held = await taken(queue, 3)
        settlements = [handing_on(entry, f"{n}a", f"{n}b", on_next_redis=on_next_redis) for n, entry in enumerate(held)]
        failed = False
        with monkeypatch.context() as patch:
            patch.setattr(module, name, failing_at(original, nth))
            try:
                await settle(a, *settlements)
            except RedisProblem:
                failed = True
            failed |= bool((await relay(queue.redis, KEYS, budget=5, next_redis=far)).stuck)
        await settle(a, *settlements)
        assert not (await relay(queue.redis, KEYS, budget=5, next_redis=far)).stuck
        counts = Counter(await arrived(far))
        assert set(counts) == {f"{n}{x}" for n in range(3) for x in "ab"}, f"lost when call {nth} of {name} fails"
        # Lua does not roll back: a row whose mark failed is the one that may come twice.
        most = 1 if name == "_DELIVER" else 0
        assert sum(counts.values()) - len(counts) <= most, f"doubled when call {nth} of {name} fails: {counts}"
        await emptied(queue, far)
        if not failed:
            break
    assert nth > 5, "the injection did not reach the script"

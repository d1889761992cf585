"""Each call inside each script fails in turn, and each reply is lost in turn: doubled at worst, never lost."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from importlib import import_module
from types import ModuleType

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError

from streamqueue.api.spec import Retention, RetentionPolicy
from streamqueue.maintenance import (
    abandoned,
    consumers,
    dead_letters,
    give_back,
    letters,
    purge,
    quiet,
    redrive,
    release,
    replay,
    sweep,
    trim,
)
from streamqueue.streams import RedisProblem, connect, ensure_group
from streamqueue.streams.entry_ids import entry_order, successor
from tests.redis.failing import PAST_THE_END, failing_at
from tests.redis.proxy import Proxy
from tests.redis.queue import Queue, spec
from tests.redis.servers.process import RunningServer

TASKS = 6
SPEC = spec(max_deliveries=2, consumer_ttl=0.0, retention=Retention(RetentionPolicy.ACKNOWLEDGED, max_length=0))

# The package's function of that name hides the module.
replays = import_module("streamqueue.maintenance.replay")

Call = Callable[[Redis], Awaitable[object]]


async def prepared(redis: Redis) -> Queue:
    """Six tasks: one dead, one a copy at its last attempt, the others pending or waiting; and an idle consumer."""
    queue = Queue(redis)
    await redis.flushall()
    await queue.create()
    await queue.add(TASKS)
    await queue.read("pod-1", count=2)
    once = spec(max_deliveries=1)
    (first, second) = await queue.pending()
    await queue.swept(once, first)  # one dead letter
    await queue.swept(SPEC, second)  # one copy, at the end
    await queue.read("pod-1", count=4)
    await queue.read("pod-1", count=1)
    await queue.age(61, *(await queue.pending())[:-2])
    await queue.settle(SPEC)
    for consumer in ("gone", "pod-1"):
        await redis.xclaim(queue.stream, queue.group, consumer, 0, (await queue.pending())[-1:])
    return queue


async def census(queue: Queue) -> Counter[str]:
    """How often each task can still be had: waiting, pending or dead."""
    seen: Counter[str] = Counter()
    entries = dict(await queue.entries())
    delivered = (await queue.snapshot()).last_delivered_id or "0-0"
    alive = set(await queue.pending()) | {
        entry_id for entry_id in entries if entry_order(entry_id) > entry_order(delivered)
    }
    for entry_id in alive:
        seen[entries[entry_id]["task"]] += 1
    for letter in await queue.dead():
        seen[letter["task"]] += 1
    return seen


async def release_all(redis: Redis) -> object:
    return await release(redis, SPEC, "pod-1", time.time() + 3600, "Error")


async def redrive_all(redis: Redis) -> object:
    return await redrive(redis, SPEC, [letter.id async for page in letters(redis, SPEC) for letter in page])


OPERATIONS: dict[str, tuple[ModuleType, str, Call]] = {
    "sweep returns": (give_back, "_SCRIPT", lambda redis: sweep(redis, SPEC)),
    "release returns": (give_back, "_SCRIPT", release_all),
    "abandoned returns": (give_back, "_SCRIPT", lambda redis: abandoned(redis, SPEC, "pod-1")),
    "quiet": (quiet, "_SCRIPT", lambda redis: sweep(redis, SPEC)),
    "trim": (trim, "_SCRIPT", lambda redis: sweep(redis, SPEC)),
    "consumers": (consumers, "_SCRIPT", lambda redis: sweep(redis, SPEC)),
    "redrive": (dead_letters, "_REDRIVE", redrive_all),
}


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_every_call_of_a_script_may_fail(redis: Redis, operation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module, name, call = OPERATIONS[operation]
    original = getattr(module, name)
    failures = unhurt = 0
    for nth in range(1, 200):
        queue = await prepared(redis)
        with monkeypatch.context() as patch:
            patch.setattr(module, name, failing_at(original, nth))
            try:
                await call(redis)
            except RedisProblem:
                failures, unhurt = failures + 1, 0
            else:
                unhurt += 1
        if unhurt == PAST_THE_END:
            break
        midway = await census(queue)
        assert set(midway) == {str(n) for n in range(TASKS)}, f"lost when call {nth} fails"
        assert max(midway.values()) <= 2
        await call(redis)
        await call(redis)
        assert set(await census(queue)) == set(midway), f"lost on the repeat after call {nth} failed"
    else:
        pytest.fail("the script never ran to its end")
    assert failures >= 2, "the injection did not reach the script"


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_every_reply_may_be_lost(shared_server: RunningServer, redis: Redis, operation: str) -> None:
    _, _, call = OPERATIONS[operation]
    async with Proxy(shared_server.port) as proxy, connect(proxy.url) as client:
        for nth in range(1, 60):
            queue = await prepared(redis)
            await client.ping()
            proxy.lose_reply, proxy.lost = nth, 0
            with suppress(RedisProblem):
                await call(client)
            if not proxy.lost:
                break
            await call(client)
            after = await census(queue)
            assert after == Counter({str(n): 1 for n in range(TASKS)}), f"reply {nth} lost"
        else:
            pytest.fail("replies never ended")
        assert nth > 1


async def test_a_purge_repeated_after_a_lost_reply_ends_clean(shared_server: RunningServer, redis: Redis) -> None:
    queue = await prepared(redis)
    async with Proxy(shared_server.port) as proxy, connect(proxy.url) as client:
        await client.ping()
        found = await queue.letters()
        proxy.lose_reply = 1
        with pytest.raises(RedisProblem):
            await purge(client, SPEC, found)
        assert proxy.lost == 1
        await purge(client, SPEC, found)
    assert await queue.dead() == []
    assert set(await census(queue)) == {"1", "2", "3", "4", "5"}


async def test_a_command_whose_reply_is_lost_is_not_sent_again(shared_server: RunningServer, redis: Redis) -> None:
    async with Proxy(shared_server.port) as proxy, connect(proxy.url) as client:
        await client.ping()
        proxy.lose_reply = 1
        with pytest.raises(ConnectionError):
            await client.xadd("orders", {"task": "1"})
    assert await redis.xlen("orders") == 1


async def test_creating_a_group_twice_over_a_lost_reply_is_safe(shared_server: RunningServer, redis: Redis) -> None:
    async with Proxy(shared_server.port) as proxy, connect(proxy.url) as client:
        await client.ping()
        proxy.lose_reply = 1
        with pytest.raises(RedisProblem):
            await ensure_group(client, "orders", "workers")
        assert await ensure_group(client, "orders", "workers") is False


async def test_a_replay_may_fail_at_every_call_and_doubles_one_step_at_most(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, into, step = replays._SCRIPT, "{orders}:again", 2
    for nth in range(1, 60):
        await redis.flushall()
        queue = Queue(redis)
        await queue.create()
        ids = await queue.add(TASKS)
        first, failed = ids[0], False
        with monkeypatch.context() as patch:
            patch.setattr(replays, "_SCRIPT", failing_at(original, nth))
            try:
                async for done in replay(redis, SPEC, first, ids[-1], into=into, step=step):
                    first = successor(done.reached)
            except RedisProblem:
                failed = True
        if not failed:
            break
        # As a person goes on, from the last step that was told of.
        async for _ in replay(redis, SPEC, first, ids[-1], into=into, step=step):
            pass
        copies = Counter(fields[b"task"].decode() for _, fields in await redis.xrange(into))
        assert set(copies) == {str(n) for n in range(TASKS)}, f"not replayed when call {nth} fails"
        assert sum(copies.values()) <= TASKS + step
    assert nth > 3, "the injection did not reach the script"

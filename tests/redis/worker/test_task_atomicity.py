"""Each call inside each script of the SDK fails in turn, and each reply is lost: doubled at worst, never lost."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from redis.asyncio import Redis

from streamqueue.streams import RedisProblem, connect, enqueue, tasks
from streamqueue.streams.enqueue import NewTask, promote
from streamqueue.streams.enqueue import enqueue as send
from streamqueue.streams.settlement import Emit, Settlement
from streamqueue.streams.taken import NewEntries, Taken
from streamqueue.streams.tasks import TaskStore
from tests.redis.failing import PAST_THE_END, failing_at
from tests.redis.proxy import Proxy
from tests.redis.queue import Queue
from tests.redis.servers.process import RunningServer
from tests.redis.worker.stores import KEYS, ack, bare_ack, claim, expire, release, retry, settle, store, take

TASKS = 4
EMIT = (Emit("{orders}:next", [("of", "x")]),)

Call = Callable[[Redis, TaskStore, list[Taken]], Awaitable[object]]


def dead(entry: Taken) -> tuple[Taken, Settlement]:
    return entry, Settlement("dead", ("handler", "why"))


def taken(held: list[Taken]) -> NewEntries:
    return NewEntries(" ".join(entry.id for entry in held).encode(), [[b"a", b"1"]] * len(held), held[0].token)


OPERATIONS: dict[str, tuple[str, Call]] = {
    "acknowledge": ("_EXCHANGE", lambda _, a, held: settle(a, *(ack(entry) for entry in held))),
    "acknowledge in a list": ("_EXCHANGE", lambda _, a, held: settle(a, *(bare_ack(entry) for entry in held))),
    "acknowledge as taken": ("_EXCHANGE", lambda _, a, held: a.exchange([], 0, 0, taken(held))),
    "emit": ("_EXCHANGE", lambda _, a, held: settle(a, *(ack(entry, emits=EMIT) for entry in held))),
    "retry": ("_EXCHANGE", lambda _, a, held: settle(a, *(retry(entry) for entry in held))),
    "dead letter": ("_EXCHANGE", lambda _, a, held: settle(a, *(dead(entry) for entry in held))),
    "take": ("_EXCHANGE", lambda _, a, held: take(a)),
    "claim": ("_CLAIM", lambda redis, _, held: claim(store(redis, "b"))),
    "adopt": ("_ADOPT", lambda _, a, held: a.adopt([], 10)),
    "hand back": ("_EXCHANGE", lambda _, a, held: settle(a, *(release(entry) for entry in held))),
    "renew": ("_RENEW", lambda _, a, held: a.renew([(entry.id, entry.token, entry.id, "") for entry in held])),
    "leave": ("_LEAVE", lambda redis, _, held: store(redis, "idle").leave()),
}


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_every_call_may_fail(queue: Queue, operation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name, call = OPERATIONS[operation]
    original = getattr(tasks, name)
    failures = unhurt = 0
    for nth in range(1, 300):
        a, held = await prepared(queue)
        with monkeypatch.context() as patch:
            patch.setattr(tasks, name, failing_at(original, nth))
            try:
                await call(queue.redis, a, held)
            except RedisProblem:
                failures, unhurt = failures + 1, 0
            else:
                unhurt += 1
        if unhurt == PAST_THE_END:
            break
        await nothing_is_lost(
            queue, f"when call {nth} fails", emits=operation == "emit", acks=operation.startswith("acknowledge")
        )
        await call(queue.redis, a, held)
        await nothing_is_lost(
            queue, f"on the repeat after {nth}", emits=operation == "emit", acks=operation.startswith("acknowledge")
        )
    else:
        pytest.fail("the script never ran to its end")
    assert failures >= 8, "the injection did not reach the script"


async def prepared(queue: Queue) -> tuple[TaskStore, list[Taken]]:
    """Four tasks: one retried and due, three in the hands of `a`, of which one had a crash; one more waits."""
    await queue.redis.flushall()
    await queue.create()
    await queue.add(TASKS)
    a = store(queue.redis, "a", max_deliveries=4)
    first = await take(a)
    await settle(a, retry(first[0]))
    await expire(queue, first[1].id)
    crashed = await claim(store(queue.redis, "a2"))
    await expire(queue, crashed[0].id)
    return a, first[2:]


async def nothing_is_lost(queue: Queue, when: str, *, emits: bool, acks: bool) -> None:
    """Each task is waiting, pending or dead; or acknowledged, if it was to be, with what it emits."""
    entries = await queue.entries()
    kept = {fields["task"] for entry, fields in entries if entry in set(await queue.pending())}
    kept |= {letter["task"] for letter in await queue.dead()}
    emitted = await queue.redis.xlen("{orders}:next")
    if emits:
        assert TASKS - len(kept) <= emitted, f"an acknowledged task did not emit {when}"
    elif not acks:
        assert kept == {str(n) for n in range(TASKS)}, f"lost {when}"
    # What is pending with the parked consumer can still be found: by its time, or by a claim.
    for entry, owner in [(row["message_id"], row["consumer"]) for row in await rows(queue)]:
        if owner.decode() == tasks.PARKED and await queue.redis.zscore(KEYS.due, entry) is None:
            await queue.age(61, entry.decode())
            assert entry.decode() in [found.id for found in await claim(store(queue.redis, "finder"))]


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_a_call_whose_reply_is_lost_may_be_repeated(
    queue: Queue, shared_server: RunningServer, operation: str
) -> None:
    """It comes to what one call comes to: nothing is doubled, nothing charged twice."""
    name, call = OPERATIONS[operation]
    a, held = await prepared(queue)
    await call(queue.redis, a, held)
    once = await state(queue)
    _, held = await prepared(queue)
    await getattr(tasks, name).load(queue.redis)  # else it is the answer NOSCRIPT that is lost
    async with Proxy(shared_server.port) as proxy, connect(proxy.url) as client:
        await client.ping()
        behind = store(client, "a", max_deliveries=4)
        proxy.lose_reply = 1
        with pytest.raises(RedisProblem):
            await call(client, behind, held)
        assert proxy.lost == 1
        await call(client, behind, held)
    assert await state(queue) == once


async def state(queue: Queue) -> dict[str, object]:
    """Who has which task, how often it was delivered and charged, what is dead and what was emitted; without ids."""
    entries = dict(await queue.entries())
    charged = await queue.redis.hgetall(KEYS.attempts)
    return {
        "pending": sorted(
            (entries[row["message_id"].decode()]["task"], row["consumer"], row["times_delivered"])
            for row in await rows(queue)
        ),
        "charged": sorted(charged.values()),
        "dead": sorted(letter["task"] for letter in await queue.dead()),
        "emitted": await queue.redis.xlen("{orders}:next"),
        "leases": await queue.redis.hlen(KEYS.lease),
        "due": await queue.redis.zcard(KEYS.due),
    }


async def rows(queue: Queue) -> list[dict[str, bytes]]:
    found: list[dict[str, bytes]] = await queue.redis.xpending_range(queue.stream, queue.group, "-", "+", 100)
    return found


@pytest.mark.parametrize("delay", [0.0, 0.001])
async def test_a_send_may_fail_at_every_call_and_be_repeated(
    redis: Redis, delay: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = [NewTask(f"id-{n}", [("n", str(n))], delay) for n in range(3)]
    for name, script in (("_ENQUEUE", enqueue._ENQUEUE), ("_PROMOTE", enqueue._PROMOTE)):
        for nth in range(1, 60):
            await redis.flushall()
            with monkeypatch.context() as patch:
                patch.setattr(enqueue, name, failing_at(script, nth))
                failed = False
                try:
                    await send(redis, "orders", wanted)
                    await asyncio.sleep(2 * delay)
                    await promote(redis, "orders")
                except RedisProblem:
                    failed = True
            await send(redis, "orders", wanted)
            while (await promote(redis, "orders"))[1] is not None:  # noqa: ASYNC110
                await asyncio.sleep(delay)
            ids = [fields[b"sq-id"].decode() for _, fields in await redis.xrange("orders")]
            assert set(ids) == {task.id for task in wanted}, f"lost when call {nth} fails"
            assert len(ids) <= len(wanted) + 1, "more than the task under way was doubled"
            if not failed:
                break
        assert nth > (3 if name == "_ENQUEUE" or delay else 1), "the injection did not reach the script"


@pytest.mark.parametrize("delay", [0.0, 0.001])
async def test_a_send_or_a_promotion_whose_reply_is_lost_may_be_repeated(
    redis: Redis, shared_server: RunningServer, delay: float
) -> None:
    wanted = [NewTask(f"id-{n}", [("n", str(n))], delay) for n in range(3)]
    for script in (enqueue._ENQUEUE, enqueue._PROMOTE):
        await script.load(redis)
    async with Proxy(shared_server.port) as proxy, connect(proxy.url) as client:
        for call in (lambda: send(client, "orders", wanted), lambda: promote(client, "orders")):
            await client.ping()
            proxy.lose_reply = 1
            with pytest.raises(RedisProblem):
                await call()
            await call()
            await asyncio.sleep(2 * delay)
    while (await promote(redis, "orders"))[1] is not None:  # noqa: ASYNC110
        await asyncio.sleep(delay)
    ids = [fields[b"sq-id"].decode() for _, fields in await redis.xrange("orders")]
    assert sorted(ids) == [task.id for task in wanted]

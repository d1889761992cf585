"""Each call inside each script of the SDK fails in turn: a task may be doubled, never lost."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from redis.asyncio import Redis

from streamqueue.streams import RedisProblem, enqueue, tasks
from streamqueue.streams.enqueue import NewTask, promote
from streamqueue.streams.enqueue import enqueue as send
from streamqueue.streams.tasks import Emit, Entry, Settlement, TaskStore
from tests.redis.queue import Queue
from tests.redis.test_atomicity import failing_at
from tests.redis.worker.stores import KEYS, ack, claim, expire, retry, settle, store, take

TASKS = 4
EMIT = (Emit("{orders}:next", [("of", "x")]),)

Call = Callable[[Redis, TaskStore, list[Entry]], Awaitable[object]]


def dead(entry: Entry) -> Settlement:
    return Settlement("dead", entry.id, entry.token, ("handler", "why"))


OPERATIONS: dict[str, tuple[str, Call]] = {
    "acknowledge": ("_EXCHANGE", lambda _, a, held: settle(a, *(ack(entry) for entry in held))),
    "emit": ("_EXCHANGE", lambda _, a, held: settle(a, *(ack(entry, emits=EMIT) for entry in held))),
    "retry": ("_EXCHANGE", lambda _, a, held: settle(a, *(retry(entry) for entry in held))),
    "dead letter": ("_EXCHANGE", lambda _, a, held: settle(a, *(dead(entry) for entry in held))),
    "take": ("_EXCHANGE", lambda _, a, held: take(a)),
    "claim": ("_CLAIM", lambda redis, _, held: claim(store(redis, "b"))),
    "adopt": ("_ADOPT", lambda _, a, held: a.adopt([], 10)),
}


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_every_call_may_fail(queue: Queue, operation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name, call = OPERATIONS[operation]
    original = getattr(tasks, name)
    failures = 0
    for nth in range(1, 300):
        a, held = await prepared(queue)
        with monkeypatch.context() as patch:
            patch.setattr(tasks, name, failing_at(original, nth))
            try:
                await call(queue.redis, a, held)
            except RedisProblem:
                failures += 1
            else:
                break
        await nothing_is_lost(
            queue, f"when call {nth} fails", emits=operation == "emit", acks=operation == "acknowledge"
        )
        await call(queue.redis, a, held)
        await nothing_is_lost(
            queue, f"on the repeat after {nth}", emits=operation == "emit", acks=operation == "acknowledge"
        )
    else:
        pytest.fail("the script never ran to its end")
    assert failures >= 10, "the injection did not reach the script"


async def prepared(queue: Queue) -> tuple[TaskStore, list[Entry]]:
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

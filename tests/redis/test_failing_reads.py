"""A call that fails inside a script that only reads: unknown with its reason, never a number that is wrong."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from types import ModuleType
from typing import Any

import pytest
from redis.asyncio import Redis

from streamqueue.maintenance import letters
from streamqueue.streams import (
    ProblemKind,
    RedisProblem,
    Snapshot,
    SnapshotRequest,
    entries,
    outbox,
    pending_entries,
    snapshot,
    take_snapshot,
    whereabouts,
)
from streamqueue.streams.whereabouts import find
from tests.redis.failing import PAST_THE_END, failing_at
from tests.redis.queue import Queue, spec
from tests.redis.worker.stores import KEYS

ERRORS = {
    "NOPERM this user has no permissions": ProblemKind.NO_PERMISSION,
    "OOM command not allowed": ProblemKind.OUT_OF_MEMORY,
}


async def look(redis: Redis, everyone: bool = True) -> Any:
    """Without what passes by itself: the time, and ages."""
    answer = await take_snapshot(redis, SnapshotRequest(Queue.stream, Queue.group, everyone=everyone))
    consumers = tuple(view._replace(idle=0.0) for view in answer.consumers)
    ages = ("oldest_waiting_age", "oldest_pending_age", "oldest_due_age", "next_due")
    return replace(answer, time=0.0, consumers=consumers, **dict.fromkeys(ages))


async def pages(redis: Redis) -> Any:
    found = [row async for page in pending_entries.pending_entries(redis, Queue.stream, Queue.group) for row in page]
    return [(row.id, row.consumer) for row in found]


async def dead(redis: Redis) -> Any:
    return [letter async for page in letters(redis, spec()) for letter in page]


async def where(redis: Redis) -> Any:
    found = await find(redis, KEYS, (await Queue(redis).pending())[0])
    return replace(found, idle=None)


async def outboxed(redis: Redis) -> Any:
    _, rows = await outbox._READ(redis, [KEYS.outbox("far")], [outbox.STEP])
    return entries.entries_of(rows)


READS: dict[str, tuple[ModuleType, str, Callable[[Redis], Awaitable[Any]]]] = {
    "snapshot": (snapshot, "_SCRIPT", look),
    "snapshot of holders": (snapshot, "_SCRIPT", partial(look, everyone=False)),
    "pending": (pending_entries, "_SCRIPT", pages),
    "whereabouts": (whereabouts, "_WHEREABOUTS", where),
    "headers": (entries, "_HEADERS", dead),
    "outbox": (outbox, "_READ", outboxed),
}


async def furnish(redis: Redis) -> None:
    """Something of everything that is counted."""
    queue = Queue(redis)
    await queue.create()
    ids = await queue.add(6)
    await queue.read("pod-1", count=2)
    await queue.read("pod-2", count=2)
    await redis.xgroup_create(queue.stream, "others", ids[0])
    await redis.xdel(queue.stream, ids[4])
    await redis.xadd(queue.dlq, {"sq-id": ids[0], "task": "x"})
    await redis.zadd("{orders}:g:workers:due", {ids[0]: 1, ids[1]: 2e12})
    await redis.zadd("{orders}:delayed", {"later": 2e12})
    await redis.xadd(KEYS.returns, {"cause": "abandoned"})
    for n in range(11):
        await redis.xadd(KEYS.outbox("far"), {"sq-row": str(n)})


async def answer_of(call: Awaitable[Any]) -> Any:
    try:
        return await call
    except RedisProblem as problem:
        return problem


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("read", READS)
async def test_a_failing_call_is_a_problem_or_no_matter(
    redis: Redis, read: str, error: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, name, call = READS[read]
    await furnish(redis)
    truth = await call(redis)
    original = getattr(module, name)
    problems = unhurt = 0
    for nth in range(1, 60):
        with monkeypatch.context() as patch:
            patch.setattr(module, name, failing_at(original, nth, error))
            answer = await answer_of(call(redis))
        if isinstance(answer, RedisProblem):
            problems, unhurt = problems + 1, 0
            assert answer.kind is ERRORS[error], f"call {nth}"
            continue
        unhurt += 1
        if unhurt == PAST_THE_END and answer == truth:
            break
        # A length that can't be read is unknown on its own.
        if answer != truth and isinstance(truth, Snapshot):
            assert (truth.dead_letters, answer.dead_letters) == (1, None), f"call {nth} fails, and nothing is unknown"
            assert replace(answer, dead_letters=1) == truth
        else:
            assert answer == truth, f"call {nth}"
    else:
        pytest.fail("the script never ran to its end")
    assert problems >= (10 if module is snapshot else 1), "the injection did not reach the script"

"""Redrive puts dead letters back once; purge removes them."""

from __future__ import annotations

import math

import pytest

from streamqueue import Queue as Producer
from streamqueue import State
from streamqueue.api.keys import Keys
from streamqueue.maintenance import WouldReachOthers, letters, purge, redrive, release, replay
from streamqueue.streams.errors import ProblemKind, RedisProblem
from tests.redis.queue import Queue, kill, spec
from tests.redis.servers.process import RunningServer


async def test_redrive_puts_back_every_letter_once_with_a_fresh_account(queue: Queue) -> None:
    ids = await kill(queue, 250)
    found = [letter.id async for page in letters(queue.redis, spec()) for letter in page]
    assert await redrive(queue.redis, spec(), found) == 250
    assert await redrive(queue.redis, spec(), found) == 0, "no other group has them: somebody was quicker"
    waiting = [fields for _, fields in await queue.read(count=1000)]
    assert [fields["sq-id"] for fields in waiting] == ids
    assert {frozenset(fields) for fields in waiting} == {frozenset({"task", "sq-id", "sq-enqueued-at"})}
    assert await queue.dead() == []
    report = await release(queue.redis, spec(max_deliveries=2), "pod-1", await queue.now() + 1, "Error")
    assert (report.returned, report.dead_lettered) == (250, 0)


async def test_redrive_notes_only_a_state_that_is_kept_and_its_own(queue: Queue) -> None:
    """One that it made would never expire; and in another stream it is another group's task."""
    ids = await kill(queue, 3)
    states = [Keys(queue.stream, queue.group).results + each for each in ids]
    for state in states[:2]:
        await queue.redis.hset(state, "state", "dead")
    here, elsewhere, unkept = await queue.letters()
    assert await redrive(queue.redis, spec(), [here, unkept]) == 2
    assert await redrive(queue.redis, spec(), [elsewhere], into="{orders}:other") == 1
    assert [await queue.redis.hget(state, "state") for state in states] == [b"waiting", b"dead", None]


async def test_redrive_leaves_other_groups_in_peace(queue: Queue) -> None:
    await kill(queue, 2)
    await queue.redis.xgroup_create(queue.stream, "audit", "$")
    with pytest.raises(WouldReachOthers):
        await redrive(queue.redis, spec(), await queue.letters())
    assert len(await queue.dead()) == 2
    assert await queue.read("a", group="audit") == []


async def test_nothing_is_copied_where_the_group_is_gone(queue: Queue) -> None:
    (first,) = await kill(queue, 1)
    await queue.redis.xgroup_create(queue.stream, "audit", "$")  # one group, but another
    for lose, kind in (
        (queue.redis.xgroup_destroy(queue.stream, queue.group), ProblemKind.NO_GROUP),
        (queue.redis.delete(queue.stream), ProblemKind.NO_STREAM),
    ):
        await lose
        with pytest.raises(RedisProblem) as redriven:
            await redrive(queue.redis, spec(), await queue.letters())
        with pytest.raises(RedisProblem) as replayed:
            await anext(replay(queue.redis, spec(), first, first))
        assert redriven.value.kind is replayed.value.kind is kind
    assert len(await queue.dead()) == 1 and await queue.entries() == []


async def test_letters_that_come_while_the_others_are_read_are_left(queue: Queue) -> None:
    """Else a redrive of what always fails would never end."""
    await kill(queue, 1001)
    pages = letters(queue.redis, spec())
    first = await anext(pages)
    await kill(queue, 1)
    assert [len(page) for page in [first, *[page async for page in pages]]] == [1000, 1]


async def test_purge_removes_every_letter(queue: Queue) -> None:
    await kill(queue, 250)
    found = await queue.letters()
    assert await purge(queue.redis, spec(), found) == 250
    assert await purge(queue.redis, spec(), found) == 0
    assert await queue.dead() == []


@pytest.mark.parametrize("deliveries", [1, 3])
async def test_where_a_task_is_stays_known_through_a_copy(
    queue: Queue, shared_server: RunningServer, deliveries: int
) -> None:
    """That of a dead letter which was put back; that of a task which came back from a plain loop."""
    async with Producer(shared_server.url, queue.stream) as producer:
        await producer.send({"task": "x"}, id="x", remembered=60.0)
        await queue.read()
        await release(queue.redis, spec(max_deliveries=deliveries), "pod-1", math.inf, "Error")
        assert len(await queue.letters()) == (deliveries == 1)
        await redrive(queue.redis, spec(), await queue.letters())
        assert (await producer.result("x")).state is State.WAITING
        await queue.read()
        assert (await producer.result("x")).state is State.PENDING
    assert 0 < await queue.redis.pttl("{orders}:sent:x") <= 60_000, "it is remembered as long as it was to be"

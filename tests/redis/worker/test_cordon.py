"""A worker that is to take no more finishes what it has, and takes again once the word is withdrawn or forgotten."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest
from redis.asyncio import Redis

from streamqueue.loop.cordon import RETRY, Cordon
from streamqueue.streams import cordon as words
from streamqueue.streams.cordon import cordon
from streamqueue.streams.errors import RedisProblem
from tests.redis.failing import failing_at
from tests.redis.queue import Queue
from tests.redis.servers.process import RunningServer
from tests.redis.worker.pod import until, working
from tests.redis.worker.stores import KEYS, expire, store, take

pytestmark = [pytest.mark.usefixtures("short_reads"), pytest.mark.process]

LONG = 60.0  # seconds


class Handlers:
    """Tasks that last until they are let go; which worker ran which."""

    def __init__(self) -> None:
        self.began: list[tuple[str, str]] = []
        self.over = asyncio.Event()

    def of(self, worker: str) -> Callable[[dict[str, str]], Awaitable[None]]:
        async def handle(task: dict[str, str]) -> None:
            self.began.append((worker, task["task"]))
            await self.over.wait()

        return handle

    def count(self, worker: str) -> int:
        return Counter(name for name, _ in self.began)[worker]


@pytest.fixture
def handlers() -> Handlers:
    return Handlers()


async def heeded(queue: Queue, name: str) -> None:
    """Wait until the worker's last read from before is over: it looks as if it didn't read any more."""

    async def reads() -> int:
        stats: dict[str, dict[str, int]] = await queue.redis.info("commandstats")
        return stats.get("cmdstat_xreadgroup", {}).get("calls", 0)

    async def rests() -> bool:
        before = await reads()
        await asyncio.sleep(0.3)  # three reads of a worker that takes
        return await reads() == before

    await until(rests, f"{name} reads no more")


async def test_it_finishes_what_it_has_and_others_take_the_rest(
    queue: Queue, shared_server: RunningServer, handlers: Handlers
) -> None:
    await queue.add(2)
    url = shared_server.url
    async with working(url, handlers.of("going"), concurrency=20, consumer="shop.eu-going") as going:
        await until(lambda: handlers.count("going") == 2, "both tasks")
        await cordon(queue.redis, KEYS, ["shop.eu-going", "another"], LONG)
        await heeded(queue, "going")
        await queue.add(30)
        async with working(url, handlers.of("staying"), concurrency=20, consumer="staying") as staying:
            await until(lambda: handlers.count("staying") == 20, "the other's slots are full")
            handlers.over.set()
            await until(lambda: going.counters.acked == 2 and staying.counters.acked == 30, "all are done")
    assert handlers.count("going") == 2


async def test_it_takes_again_when_the_word_is_withdrawn(
    queue: Queue, shared_server: RunningServer, handlers: Handlers
) -> None:
    handlers.over.set()
    await cordon(queue.redis, KEYS, ["pod"], LONG)
    async with working(shared_server.url, handlers.of("pod"), concurrency=20) as worker:
        await queue.add(3)
        await heeded(queue, "pod")
        assert worker.counters.acked == 0
        await cordon(queue.redis, KEYS, [], LONG)
        await until(lambda: worker.counters.acked == 3, "it takes again")


async def test_it_takes_again_when_nobody_repeats_the_word(
    queue: Queue, shared_server: RunningServer, handlers: Handlers
) -> None:
    handlers.over.set()
    await cordon(queue.redis, KEYS, ["pod"], 0.5)
    async with working(shared_server.url, handlers.of("pod"), concurrency=20) as worker:
        await queue.add(3)
        await until(lambda: worker.counters.acked == 3, "it takes again")


async def test_it_claims_no_stuck_work(queue: Queue, shared_server: RunningServer, handlers: Handlers) -> None:
    """That would make it busy for as long again."""
    handlers.over.set()
    await cordon(queue.redis, KEYS, ["pod"], LONG)
    async with working(shared_server.url, handlers.of("pod"), visibility_timeout=0.2, concurrency=2) as worker:
        await heeded(queue, "pod")
        await queue.add()
        (stuck,) = await take(store(queue.redis, "dead"))
        await expire(queue, stuck.id)
        await asyncio.sleep(0.5)  # several of its looks for stuck work
        assert worker.counters.claimed == 0
        await cordon(queue.redis, KEYS, [], LONG)
        await until(lambda: worker.counters.claimed == 1, "then it does")


@pytest.mark.parametrize("name", ["pod-2", "od", "po"])
async def test_only_those_that_are_named_whole(queue: Queue, name: str) -> None:
    await queue.add()
    await cordon(queue.redis, KEYS, [name], LONG)
    assert len(await take(store(queue.redis, "pod.1a2b3c4d"))) == 1


async def test_retries_that_are_due_are_left_to_others(queue: Queue) -> None:
    await cordon(queue.redis, KEYS, ["pod"], LONG)
    await queue.add()
    reply = await store(queue.redis, "pod.1a2b3c4d").exchange([], 5, 5)
    assert reply.cordoned
    assert not (reply.again or reply.new)


async def test_a_key_of_another_type_stops_nobody(queue: Queue) -> None:
    await queue.redis.set(KEYS.cordon, "pod")
    await queue.add()
    assert len(await take(store(queue.redis, "pod.1a2b3c4d"))) == 1


async def test_the_word_is_written_when_it_changes_and_before_it_expires(queue: Queue) -> None:
    word = Cordon()
    await word.keep(queue.redis, KEYS, [], 1.0, now=0.0)
    assert not await queue.redis.exists(KEYS.cordon)
    await word.keep(queue.redis, KEYS, ["b", "a"], 1.0, now=0.0)
    assert await queue.redis.smembers(KEYS.cordon) == {b"a", b"b"}
    lasts = await queue.redis.pttl(KEYS.cordon) / 1000
    assert lasts / 2 > RETRY, "one that fails halfway is repeated in time"
    await queue.redis.delete(KEYS.cordon)
    await word.keep(queue.redis, KEYS, ["a", "b"], 1.0, now=lasts / 3)
    assert not await queue.redis.exists(KEYS.cordon), "it was written although it is known"
    await word.keep(queue.redis, KEYS, ["a", "b"], 1.0, now=lasts * 2 / 3)
    assert await queue.redis.exists(KEYS.cordon)
    await word.keep(queue.redis, KEYS, [], 1.0, now=lasts * 2 / 3)
    assert not await queue.redis.exists(KEYS.cordon)
    await queue.redis.sadd(KEYS.cordon, "theirs")
    await word.keep(queue.redis, KEYS, [], 1.0, now=lasts * 9)
    assert await queue.redis.exists(KEYS.cordon), "it was written again that nobody is told"


async def test_a_new_process_withdraws_the_word_of_the_one_before(queue: Queue) -> None:
    """It knows nothing of it, and may want all of them at once."""
    await cordon(queue.redis, KEYS, ["a"], LONG)
    await Cordon().keep(queue.redis, KEYS, [], 1.0, now=0.0)
    assert not await queue.redis.exists(KEYS.cordon)


@pytest.mark.parametrize("nth", range(1, 6))
async def test_whatever_fails_nobody_is_told_for_ever(queue: Queue, nth: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(words, "_CORDON", failing_at(words._CORDON, nth))
    with suppress(RedisProblem) if nth == 5 else pytest.raises(RedisProblem):
        await cordon(queue.redis, KEYS, ["a", "b", "c"], LONG)
    assert await queue.redis.ttl(KEYS.cordon) != -1


async def test_a_word_outlasts_rare_looks(queue: Queue) -> None:
    await Cordon().keep(queue.redis, KEYS, ["a"], 60.0, now=0.0)
    assert await queue.redis.pttl(KEYS.cordon) > 2 * 60_000


@pytest.mark.parametrize("workers", [["a"], []])
async def test_a_word_that_failed_is_repeated(queue: Queue, workers: list[str]) -> None:
    word = Cordon(frozenset({"before"}), again=100.0)
    await queue.redis.sadd(KEYS.cordon, "before")
    async with Redis(port=1) as nobody:
        with pytest.raises(RedisProblem):
            await word.keep(nobody, KEYS, workers, 1.0, now=0.0)
    await word.keep(queue.redis, KEYS, workers, 1.0, now=RETRY / 2)
    assert await queue.redis.smembers(KEYS.cordon) == {b"before"}, "not at each look"
    await word.keep(queue.redis, KEYS, workers, 1.0, now=RETRY)
    assert await queue.redis.smembers(KEYS.cordon) == {each.encode() for each in workers}

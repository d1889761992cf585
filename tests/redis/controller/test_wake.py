"""A sleeping queue hears its first entry; where nobody can listen, it is polled."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from aiohttp import web
from redis.asyncio import Redis

from streamqueue.controller.cluster.store import Key
from streamqueue.controller.endpoints import wake
from streamqueue.controller.endpoints.endpoints import Endpoint
from streamqueue.controller.endpoints.wake import DEAF, Sleeper, Waker
from streamqueue.streams import connect
from tests.kube.api import taken
from tests.redis.controller.loops import KEY, loop_over, queue_on, running, store_of
from tests.redis.queue import Queue
from tests.redis.servers.process import RunningServer
from tests.redis.worker.pod import until

ONE, TWO = ("shop", "one"), ("shop", "two")
START = Sleeper(Queue.stream, "0-0", soundly=True)


class Woken:
    """Who was woken, in order."""

    def __init__(self) -> None:
        self.keys: asyncio.Queue[Key] = asyncio.Queue()

    def take(self, keys: Sequence[Key]) -> None:
        for key in keys:
            self.keys.put_nowait(key)

    async def next(self) -> Key:
        return await asyncio.wait_for(self.keys.get(), timeout=5)


@pytest.fixture
def woken() -> Woken:
    return Woken()


@pytest.fixture
async def waker(woken: Woken) -> AsyncIterator[Waker]:
    waker = Waker(woken.take)
    yield waker
    await waker.close()


@pytest.fixture
def endpoint(redis: Redis) -> Endpoint:
    return Endpoint("here", "here", redis, None)


async def test_an_entry_wakes_its_queue_and_no_other(
    redis: Redis, waker: Waker, woken: Woken, endpoint: Endpoint
) -> None:
    assert waker.listen_for(ONE, endpoint, START)
    assert waker.listen_for(TWO, endpoint, Sleeper("silent", "0-0", soundly=True))
    await Queue(redis).add()
    assert await woken.next() == ONE
    assert woken.keys.empty()


async def test_an_entry_that_came_before_anybody_listened_wakes_too(
    redis: Redis, waker: Waker, woken: Woken, endpoint: Endpoint
) -> None:
    await Queue(redis).add()
    waker.listen_for(ONE, endpoint, START)
    assert await woken.next() == ONE


async def test_both_groups_of_a_stream_are_woken(redis: Redis, waker: Waker, woken: Woken, endpoint: Endpoint) -> None:
    (first,) = await Queue(redis).add()
    waker.listen_for(ONE, endpoint, Sleeper(Queue.stream, first, soundly=True))
    waker.listen_for(TWO, endpoint, START)  # it has not seen the first entry yet
    assert {await woken.next(), await woken.next()} == {ONE, TWO}


async def test_a_queue_that_sleeps_again_is_woken_again(
    redis: Redis, waker: Waker, woken: Woken, endpoint: Endpoint
) -> None:
    last = "0-0"
    for _ in range(3):
        waker.listen_for(ONE, endpoint, Sleeper(Queue.stream, last, soundly=True))
        (last,) = await Queue(redis).add()
        assert await woken.next() == ONE


async def test_a_roused_queue_is_not_woken(redis: Redis, waker: Waker, woken: Woken, endpoint: Endpoint) -> None:
    waker.listen_for(ONE, endpoint, START)
    waker.listen_for(TWO, endpoint, START)
    waker.stop_listening(ONE)
    await Queue(redis).add()
    assert await woken.next() == TWO
    assert woken.keys.empty()


async def test_a_user_who_may_not_listen_is_polled_until_it_may(
    redis: Redis, woken: Woken, caplog: pytest.LogCaptureFixture
) -> None:
    await redis.acl_setuser("deaf", enabled=True, nopass=True, keys=["*"], commands=["+@all", "-xread"])
    pool = redis.connection_pool
    deaf = Redis(
        host=pool.connection_kwargs["host"], port=pool.connection_kwargs["port"], username="deaf", password="x"
    )
    quiet, now = Endpoint("deaf", "deaf", deaf, None), 0.0
    waker = Waker(woken.take, lambda: now)
    assert waker.listen_for(ONE, quiet, START)
    assert await woken.next() == ONE  # to be polled from now on
    assert "shop/one" in caplog.text and "extend its ACL" in caplog.text
    await redis.acl_setuser("deaf", commands=["+xread"])
    assert not waker.listen_for(ONE, quiet, START)

    now += DEAF
    assert waker.listen_for(ONE, quiet, START)
    await Queue(redis).add()
    assert await woken.next() == ONE
    assert waker.listen_for(ONE, quiet, START), "it was woken by its entry, not for want of a right"
    await waker.close()
    await deaf.aclose()


async def test_a_queue_that_moved_is_listened_to_there_alone(
    redis: Redis, shared_server: RunningServer, waker: Waker, woken: Woken, endpoint: Endpoint
) -> None:
    async with connect(shared_server.url.replace("/0", "/1")) as client:
        waker.listen_for(ONE, endpoint, START)
        waker.listen_for(TWO, endpoint, START)
        waker.listen_for(ONE, Endpoint("there", "there", client, None), START)
        assert waker.listened_to == 2
        await Queue(redis).add()
        assert await woken.next() == TWO and woken.keys.empty()
        await Queue(client).add()
        assert await woken.next() == ONE
        await waker.close()


async def test_a_server_that_was_away_is_listened_to_again(
    own_server: RunningServer, waker: Waker, woken: Woken, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wake, "RETRY", 0.05)
    async with connect(own_server.url) as client:

        async def listens() -> bool:
            return bool((await client.info("clients"))["blocked_clients"])

        waker.listen_for(ONE, Endpoint("own", "own", client, None), START)
        await until(listens, "a blocked read")
        await asyncio.to_thread(own_server.restart)
        await Queue(client).add()
        assert await woken.next() == ONE
        await waker.close()


@pytest.mark.on("redis-7.0", "valkey-9.1")
async def test_the_loop_starts_a_worker_for_the_first_task_however_rare_its_looks(
    queue: Queue, shared_server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wake, "ASLEEP_INTERVAL", 600.0)
    monkeypatch.setattr(wake, "ASLEEP_LONGEST", 600.0)
    started = asyncio.Event()

    async def handle(request: web.Request) -> web.Response:
        body: dict[str, Any] = await request.json()
        if request.path.endswith("/deployments/orders") and body["spec"]["replicas"]:
            started.set()
        return taken(body)

    store = store_of(queue_on(shared_server, scaling={"pollingInterval": "60s"}), replicas=0)
    async with loop_over(store, handle) as loop, running(loop):
        await until(lambda: (runtime := loop.runtime(KEY)) and not runtime.fresh, "it sleeps")
        assert loop._waker.listened_to == 1
        await queue.add()
        await asyncio.wait_for(started.wait(), 10)

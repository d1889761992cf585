"""`next.redis`: results go to a stream on another server, by way of the outbox: each arrives once.

Two real servers: the queue's own, and one that the test may stop, lock or lose.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from contextlib import AsyncExitStack, suppress
from typing import Any

import pytest
from redis.asyncio import Redis

from streamqueue import Queue as Producer
from streamqueue.api.keys import StreamKeys, target_on_next_redis
from streamqueue.maintenance import sweep
from streamqueue.maintenance.relay import relay
from streamqueue.streams import (
    ProblemKind,
    RedisProblem,
    connect,
)
from streamqueue.streams.outbox import relay_step
from streamqueue.streams.settlement import Emit
from streamqueue.worker import relaying
from tests.redis.proxy import Proxy
from tests.redis.queue import Queue, spec
from tests.redis.servers.process import RunningServer, free_port
from tests.redis.worker.outboxes import FAR, arrived, each_arrives_once, emptied, handing_on, taken
from tests.redis.worker.pod import PATIENCE, until, working
from tests.redis.worker.stores import KEYS, ack, settle
from tests.redis.worker.test_line import Stage, in_hand

PASSWORD = "hunter2-b7"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests wait for what a worker tries again."""
    monkeypatch.setattr(relaying, "INTERVAL", 0.2)
    monkeypatch.setattr(relaying, "PAUSE", 0.1)


async def echo(task: dict[str, str]) -> dict[str, str]:
    return {"of": task["task"]}


async def unsettled(queue: Queue) -> tuple[int, int]:
    look = await queue.snapshot()
    return look.undelivered + look.pending, look.outboxed


async def until_settled(queue: Queue, outboxed: int) -> None:
    async with asyncio.timeout(PATIENCE):
        while await unsettled(queue) != (0, outboxed):  # noqa: ASYNC110 - the event is on the server
            await asyncio.sleep(0.02)


@pytest.mark.parametrize(
    ("stream", "in_a_list"),
    [(FAR, False), (FAR, True), (Queue.stream, False)],
    ids=["another name", "in a list", "the queue's own name"],
)
async def test_results_reach_a_stream_on_another_server_once(
    queue: Queue, shared_server: RunningServer, own_server: RunningServer, stream: str, in_a_list: bool
) -> None:
    async def handle(task: dict[str, str]) -> Any:
        return [await echo(task)] if in_a_list else await echo(task)

    ids = [f"{each}/0" if in_a_list else each for each in await queue.add(250)]
    there = {"next_stream": stream, "next_redis_url": own_server.url}
    async with working(shared_server.url, handle, concurrency=20, **there), connect(own_server.url) as far:
        await until_settled(queue, 0)
        entries = await far.xrange(stream)
        assert Counter(fields[b"sq-id"].decode() for _, fields in entries) == dict.fromkeys(ids, 1)
        assert all({b"sq-id", b"sq-origin", b"sq-enqueued-at", b"of"} == set(fields) for _, fields in entries)
        await emptied(queue, far)
    assert await queue.redis.xlen(Queue.stream) == 250 and await queue.redis.exists(FAR) == 0


async def test_the_queue_goes_on_while_the_other_server_is_away(
    queue: Queue, shared_server: RunningServer, durable_server: RunningServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with connect(durable_server.url) as admin:
        await admin.execute_command("CONFIG", "SET", "requirepass", PASSWORD)
    url = durable_server.url.replace("://", f"://:{PASSWORD}@")
    durable_server.kill()
    there = {"next_stream": FAR, "next_redis_url": url}
    async with working(shared_server.url, echo, concurrency=5, **there):
        ids = await queue.add(40)
        await until_settled(queue, len(ids))  # all acknowledged, nothing gone on
        assert await queue.redis.exists(FAR) == 0
        await until(lambda: f"results for stream {FAR} of next.redis wait in the outbox" in caplog.text, "a word of it")
        durable_server.start()
        async with connect(durable_server.url) as admin:
            await admin.execute_command("CONFIG", "SET", "requirepass", PASSWORD)
        await until_settled(queue, 0)
    async with connect(url) as far:
        assert [fields[b"sq-id"].decode() for _, fields in await far.xrange(FAR)] == ids
        await emptied(queue, far)
    assert PASSWORD not in caplog.text


async def test_a_wrong_password_holds_up_results_and_nothing_else(
    queue: Queue, shared_server: RunningServer, own_server: RunningServer, caplog: pytest.LogCaptureFixture
) -> None:
    wrong = own_server.url.replace("://", f"://app:{PASSWORD}@")
    async with (
        connect(own_server.url) as far,
        working(shared_server.url, echo, concurrency=5, next_stream=FAR, next_redis_url=wrong),
    ):
        await far.execute_command("ACL", "SETUSER", "app", "on", ">another", "~*", "+@all")
        ids = await queue.add(20)
        await until_settled(queue, len(ids))
        await until(lambda: "wait in the outbox: Redis refused the user name or password" in caplog.text, "why")
        assert await far.exists(FAR) == 0
        await far.execute_command("ACL", "SETUSER", "app", f">{PASSWORD}")
        await until_settled(queue, 0)
        assert len(await arrived(far)) == len(ids)
    assert PASSWORD not in caplog.text


async def test_a_url_that_cannot_be_used_stops_no_worker(
    queue: Queue, shared_server: RunningServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with working(shared_server.url, echo, next_stream=FAR, next_redis_url=f"http://:{PASSWORD}@x"):
        ids = await queue.add(3)
        await until_settled(queue, len(ids))
        await until(lambda: "the Redis URL cannot be read" in caplog.text, "why")
    assert PASSWORD not in caplog.text


@pytest.mark.parametrize("name", ["_EXCHANGE", "_DELIVER", "_CLEAR"])
async def test_every_call_may_fail_and_each_result_arrives_once(
    queue: Queue, own_server: RunningServer, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with connect(own_server.url) as far:
        await each_arrives_once(queue, far, name, monkeypatch, on_next_redis=True)


@pytest.mark.parametrize("side", ["here", "there"])
async def test_every_reply_may_be_lost_and_each_result_arrives_once(
    queue: Queue, shared_server: RunningServer, own_server: RunningServer, side: str
) -> None:
    """The relay sees a failure, though the server has done the work: it comes again, and so do others."""
    server = shared_server if side == "here" else own_server
    async with Proxy(server.port) as proxy, connect(own_server.url) as far:
        for nth in range(1, 30):
            await queue.redis.flushall()
            await far.flushall()
            await queue.create()
            a, held = await taken(queue, 3)
            await settle(a, *(handing_on(entry, entry.id, on_next_redis=True) for entry in held))
            lost, proxy.lose_reply = proxy.lost, nth
            async with connect(proxy.url) as unsure:
                here, there = (unsure, far) if side == "here" else (queue.redis, unsure)
                with suppress(RedisProblem):
                    await relay(here, KEYS, budget=5, next_redis=there)
            proxy.lose_reply = 0
            await relay(queue.redis, KEYS, budget=5, next_redis=far)
            assert await arrived(far) == [entry.id for entry in held], f"reply {nth} {side} was lost"
            assert await queue.redis.keys("*outbox*") == []
            if proxy.lost == lost:
                break
    assert nth > 2, "the relay ends before a reply is lost"


async def test_queues_of_one_name_on_two_servers_keep_apart(
    queue: Queue, own_server: RunningServer, durable_server: RunningServer
) -> None:
    """Both hand on to one stream. What one has delivered and not removed outlives the marks of the other's past."""
    now = int(await queue.now() * 1000)
    box = KEYS.outbox(target_on_next_redis(FAR))
    async with connect(own_server.url) as second, connect(durable_server.url) as far:
        await Queue(second).create()
        for redis, name, at in ((queue.redis, "eu", now - 3_600_000), (second, "us", now)):
            await redis.sadd(KEYS.outboxes, target_on_next_redis(FAR))
            await redis.xadd(box, {"of": name, "sq-row": name}, id=f"{at}-0")
        row = await queue.redis.dump(box)
        await relay_step(queue.redis, KEYS, target_on_next_redis(FAR), far)
        assert row
        await queue.redis.restore(box, 0, row)  # as if the relay had died before it removed it, an hour ago
        (marks,) = await far.keys("*seen*")
        await far.zadd(marks, {"eu": now - 3_600_000})
        await relay_step(second, KEYS, target_on_next_redis(FAR), far)
        await relay_step(queue.redis, KEYS, target_on_next_redis(FAR), far)
        assert await arrived(far) == ["eu", "us"], "the row came again"
        names = {await redis.get(KEYS.server) for redis in (queue.redis, second)}
        assert {key.decode() for key in await far.keys("*seen*")} == {
            StreamKeys(FAR).seen(KEYS, name.decode()) for name in names if name
        }
        assert len(names) == 2


async def test_relays_at_once_deliver_once_and_in_order(
    queue: Queue, shared_server: RunningServer, own_server: RunningServer
) -> None:
    a, held = await taken(queue, 100)
    names = {entry.id: [f"{entry.id}.{n}" for n in range(5)] for entry in held}
    for start in range(0, 100, 10):
        await settle(
            a, *(handing_on(entry, *names[entry.id], on_next_redis=True) for entry in held[start : start + 10])
        )
    async with AsyncExitStack() as stack:
        pairs = [
            [await stack.enter_async_context(connect(server.url)) for server in (shared_server, own_server)]
            for _ in range(4)
        ]
        await asyncio.gather(*(relay(here, KEYS, budget=20, next_redis=there) for here, there in pairs))
        assert await arrived(pairs[0][1]) == [name for entry in held for name in names[entry.id]]
        await emptied(queue, pairs[0][1])


async def test_another_server_holds_up_no_stream_of_this_one(queue: Queue) -> None:
    a, held = await taken(queue, 2)
    await settle(
        a,
        handing_on(held[0], "far", on_next_redis=True),
        ack(held[1], emits=(Emit("{orders}:near", [("of", "near")]),)),
    )
    await queue.redis.sadd(KEYS.outboxes, "near")
    await queue.redis.xadd(KEYS.outbox("near"), {"of": "near", "sq-row": "x"})
    async with connect(f"redis://127.0.0.1:{free_port()}") as nobody:
        report = await relay(queue.redis, KEYS, budget=5, next_redis=nobody)
    assert await arrived(queue.redis, "near") == ["near"]
    assert {target: problem.kind for target, problem in report.stuck.items()} == {
        target_on_next_redis(FAR): ProblemKind.UNREACHABLE
    }


async def test_without_next_redis_what_was_for_it_stays_and_is_named(queue: Queue) -> None:
    a, (entry,) = await taken(queue, 1)
    await settle(a, handing_on(entry, "x", on_next_redis=True))
    report = await sweep(queue.redis, spec())
    assert (report.relayed, report.stuck) == (0, (f"{FAR} of next.redis",))
    assert "results wait in the outbox for paid of next.redis" in report.summary()
    (why,) = (await relay(queue.redis, KEYS, budget=5)).stuck.values()
    assert why.kind == ProblemKind.NO_ENDPOINT and "put it back" in why.message
    assert (await queue.snapshot()).outboxed == 1


async def test_a_stream_of_the_same_name_here_is_another(queue: Queue, own_server: RunningServer) -> None:
    a, held = await taken(queue, 2)
    await settle(a, handing_on(held[0], "far", on_next_redis=True))
    await queue.redis.sadd(KEYS.outboxes, FAR)
    await queue.redis.xadd(KEYS.outbox(FAR), {"of": "near", "sq-row": "x"})
    async with connect(own_server.url) as far:
        await relay(queue.redis, KEYS, budget=5, next_redis=far)
        assert (await arrived(far), await arrived(queue.redis)) == (["far"], ["near"])


TASKS, KILLS = 150, 8


@pytest.mark.process
async def test_each_origin_comes_out_once_on_the_other_server_under_kills(
    redis: Redis, shared_server: RunningServer, durable_server: RunningServer
) -> None:
    """Two stages on two servers whose workers are killed; the second server once as well."""
    async with AsyncExitStack() as stack:
        first = Stage(shared_server.url, "a", "b", STREAMQUEUE_NEXT_REDIS_URL=durable_server.url)
        second = Stage(durable_server.url, "b", "out")
        for stage in (first, second):
            stack.push_async_callback(stage.end)
            await stage.start()
        async with Producer(shared_server.url, "a") as producer:
            sent = await producer.send_many({"n": n} for n in range(TASKS))
        chance = random.Random(11)
        for n in range(KILLS):
            await (first, second)[n % 2].replace_one(chance)
            if n == KILLS // 2:
                durable_server.kill()
                await asyncio.to_thread(durable_server.start)
            await asyncio.sleep(0.1)
        far = await stack.enter_async_context(connect(durable_server.url))
        async with asyncio.timeout(120.0):
            while await far.xlen("out") < TASKS or await in_hand(redis, ["a"]) or await in_hand(far, ["b"]):
                for stage in (first, second):
                    stage.check()
                await asyncio.sleep(0.05)
        origins = Counter(fields[b"sq-origin"].decode() for _, fields in await far.xrange("out"))
    assert origins == Counter(task.id for task in sent), "an origin came out twice or never"


async def test_a_server_out_of_memory_takes_no_results(queue: Queue, own_server: RunningServer) -> None:
    """They would fill it until it is killed, with all that it holds."""
    a, held = await taken(queue, 3)
    await settle(a, *(handing_on(entry, entry.id, on_next_redis=True) for entry in held))
    async with connect(own_server.url) as far:
        await far.config_set("maxmemory", 1)
        report = await relay(queue.redis, KEYS, budget=5, next_redis=far)
        assert [problem.kind for problem in report.stuck.values()] == [ProblemKind.OUT_OF_MEMORY]
        assert await arrived(far) == []
        await far.config_set("maxmemory", 0)
        assert not (await relay(queue.redis, KEYS, budget=5, next_redis=far)).stuck
        assert await arrived(far) == [entry.id for entry in held]
        await emptied(queue, far)

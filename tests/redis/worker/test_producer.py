"""Sending: once each, now or later."""

from __future__ import annotations

import asyncio
import math
import time
from typing import Any

import pytest
from redis.asyncio import Redis

from streamqueue import PayloadError, Queue, Sent
from streamqueue.api.keys import Keys
from streamqueue.streams import ProblemKind, RedisProblem
from streamqueue.streams.connection import pool, turns
from streamqueue.streams.enqueue import promote
from streamqueue.worker.producer import queue as producer
from tests.redis.proxy import Proxy
from tests.redis.servers.process import RunningServer, free_port
from tests.redis.worker.pod import until, working
from tests.redis.worker.stores import PARKED


async def test_an_id_is_sent_once(redis: Redis, shared_server: RunningServer) -> None:
    async with Queue(shared_server.url, "orders") as orders:
        first = await orders.send({"n": 1}, id="order-1")
        again = await orders.send({"n": 1}, id="order-1")
        assert (first.repeated, again.repeated) == (False, True) and again.entry == first.entry
        many = await orders.send_many([{"n": 1}, {"n": 2}], ids=["order-1", "2"])
        assert [sent.repeated for sent in many] == [True, False]
        for each in ("order-1", "2"):
            assert 3_590_000 < await redis.pttl(f"{{orders}}:sent:{each}") <= 3_600_000
        assert (await orders.result("order-1")).state == "waiting"
    sent = [fields for _, fields in await redis.xrange("orders")]
    assert sent == [{b"sq-id": b"order-1", b"n": b"1"}, {b"sq-id": b"2", b"n": b"2"}]


async def test_an_id_that_is_sent_again_is_remembered_anew(redis: Redis, shared_server: RunningServer) -> None:
    async with Queue(shared_server.url, "orders") as orders:
        for remembered in (50, 100):
            await orders.send({"n": 1}, id="order-1", remembered=remembered)
            assert 1000 * (remembered - 10) < await redis.pttl("{orders}:sent:order-1") <= 1000 * remembered


@pytest.mark.parametrize("key", ["{orders}:delayed", "{orders}:delayed:payload"])
async def test_a_key_of_another_type_is_said_before_anything_is_added(
    redis: Redis, shared_server: RunningServer, key: str
) -> None:
    await redis.set(key, "mine")
    async with Queue(shared_server.url, "orders") as orders:
        with pytest.raises(RedisProblem) as found:
            await orders.send({"n": 1}, delay=100)
    assert found.value.kind is ProblemKind.WRONG_TYPE
    assert await redis.keys() == [key.encode()]


@pytest.mark.parametrize("times", [{"delay": -1.0}, {"delay": math.nan}, {"remembered": 0.0005}])
async def test_times_that_cannot_be_add_nothing(
    redis: Redis, shared_server: RunningServer, times: dict[str, float]
) -> None:
    async with Queue(shared_server.url, "orders") as orders:
        with pytest.raises(ValueError, match="from a millisecond"):
            await orders.send({"n": 1}, **times)
    assert await redis.keys() == []


async def test_a_send_whose_reply_is_lost_adds_one_task(redis: Redis, shared_server: RunningServer) -> None:
    async with Proxy(shared_server.port) as proxy, Queue(proxy.url, "orders") as orders:
        await orders.send({"n": 0})
        proxy.lose_reply = 1
        sent = await orders.send({"n": 1})
        assert proxy.lost == 1 and sent.repeated
        await orders.send({"n": 2}, delay=5)
        proxy.lose_reply = 1
        await orders.send({"n": 3}, delay=5)
    assert await redis.xlen("orders") == 2 and await redis.zcard("{orders}:delayed") == 2


async def test_a_delay_counts_by_the_servers_clock_and_its_mark_outlives_it(
    redis: Redis, shared_server: RunningServer
) -> None:
    seconds, micros = await redis.time()
    async with Queue(shared_server.url, "orders") as orders:
        await orders.send({"n": 1}, id="later", delay=100, remembered=50)
    due = await redis.zscore("{orders}:delayed", "later")
    assert 99.99 < due / 1000 - (seconds + micros / 1e6) < 110
    assert 140_000 < await redis.pttl("{orders}:sent:later") <= 150_000


async def test_a_delayed_task_is_known_until_it_is_let_in(redis: Redis, shared_server: RunningServer) -> None:
    """However often it is sent, and however late anybody lets it in."""
    mark = "{orders}:sent:later"
    async with Queue(shared_server.url, "orders") as orders:
        await orders.send({"n": 1}, id="later", delay=100, remembered=50)
        assert (await orders.send({"n": 2}, id="later", delay=100, remembered=50)).repeated
        assert 140_000 < await redis.pttl(mark) <= 150_000
        await redis.zadd("{orders}:delayed", {"later": 1})
        await redis.delete(mark)  # as if it had been due for longer than it is remembered
        for delay in (0, 100):
            assert await orders.send({"n": 3}, id="later", delay=delay, remembered=50) == Sent("later", None, True)
            assert 40_000 < await redis.pttl(mark) <= 50_000
            assert (await orders.result("later")).state == "waiting"
    await promote(redis, "orders")
    assert [fields[b"n"] for _, fields in await redis.xrange("orders")] == [b"1"]


async def test_thousands_in_order(redis: Redis, shared_server: RunningServer) -> None:
    """In a few round trips, of which none blocks the server for long."""

    async def calls() -> int:
        return int((await redis.info("commandstats"))["cmdstat_evalsha"]["calls"])

    async with Queue(shared_server.url, "documents") as documents:
        await documents.send_many([{"n": 1}])
        before = await calls()
        await documents.send_many({"document": "x" * 400_000} for _ in range(8))
        assert await calls() == before + 4
    async with Queue(shared_server.url, "orders") as orders:
        sent = await orders.send_many({"n": n} for n in range(2345))
    assert await calls() == before + 4 + 24
    entries = await redis.xrange("orders")
    assert [int(fields[b"n"]) for _, fields in entries] == list(range(2345))
    assert [one.entry for one in sent] == [entry.decode() for entry, _ in entries]
    assert len({one.id for one in sent}) == 2345


async def test_hundreds_may_send_and_wait_at_once(redis: Redis, shared_server: RunningServer) -> None:
    async def handle(task: dict[str, str]) -> int:
        return int(task["n"])

    async def call(orders: Queue, n: int) -> int:
        sent = await orders.send({"n": n})
        return int((await orders.wait(sent.id, 20)).value)

    async with (
        Queue(shared_server.url, "orders") as orders,
        working(shared_server.url, handle, results_ttl=60, concurrency=50),
    ):
        assert await asyncio.gather(*(call(orders, n) for n in range(300))) == list(range(300))


async def test_a_turn_that_takes_long_to_come_is_no_absence_of_redis(
    redis: Redis, shared_server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each waits 0.2 s for the replica that there is none of."""
    monkeypatch.setattr(turns, "PATIENCE", 0.1)
    async with Queue(shared_server.url, "orders", patience=0.4) as orders:
        sent = await asyncio.gather(*(orders.send({"n": n}, replicated=True) for n in range(60)))
    assert not any(each.replicated for each in sent) and await redis.xlen("orders") == 60


async def test_a_delayed_task_is_due_within_a_second_while_a_worker_runs(
    redis: Redis, shared_server: RunningServer
) -> None:
    started: list[float] = []

    async def handle(task: dict[str, str]) -> None:
        started.append(time.monotonic())

    async with Queue(shared_server.url, "orders") as orders, working(shared_server.url, handle) as worker:
        begin = time.monotonic()
        await orders.send({"n": 1}, delay=1.5)
        assert await redis.xlen("orders") == 0
        await until(lambda: worker.counters.acked == 1, "the delayed task")
    assert 1.5 <= started[0] - begin < 2.5
    assert await redis.exists("{orders}:delayed", "{orders}:delayed:payload") == 0


async def test_promotion_goes_in_bounded_steps_and_says_what_comes(redis: Redis, shared_server: RunningServer) -> None:
    async with Queue(shared_server.url, "orders") as orders:
        await orders.send_many([{"n": n, "blob": "x" * 1000} for n in range(250)], delay=0.001)
        await orders.send({"n": "later"}, delay=100)
        assert (await orders.send({"n": "later"}, id="x", delay=100)).entry is None
    await asyncio.sleep(0.01)
    assert await promote(redis, "orders") == (100, 0.0)
    assert await promote(redis, "orders") == (100, 0.0)
    count, until_next = await promote(redis, "orders")
    assert count == 50 and until_next is not None and 95 < until_next <= 100
    entries = await redis.xrange("orders")
    assert sorted(int(fields[b"n"]) for _, fields in entries) == list(range(250))
    assert all(abs(int(fields[b"sq-enqueued-at"]) / 1000 - time.time()) < 5 for _, fields in entries)
    assert await promote(redis, "nothing") == (0, None)


async def test_a_delayed_task_whose_payload_is_gone_holds_up_no_other(
    redis: Redis, shared_server: RunningServer
) -> None:
    await redis.zadd("{orders}:delayed", {"ghost": 1})
    async with Queue(shared_server.url, "orders") as orders:
        await orders.send({"n": 1}, delay=0.001)
    await asyncio.sleep(0.01)
    assert await promote(redis, "orders") == (1, None)
    assert await redis.xlen("orders") == 1 and not await redis.exists("{orders}:delayed")


async def test_delayed_tasks_survive_a_restart(durable_server: RunningServer) -> None:
    async with Queue(durable_server.url, "orders") as orders:
        await orders.send({"n": 1}, delay=0.2)
    await asyncio.to_thread(durable_server.kill)
    await asyncio.to_thread(durable_server.start)
    await asyncio.sleep(0.2)
    async with Redis.from_url(durable_server.url) as redis:
        assert (await promote(redis, "orders"))[0] == 1


async def test_a_replicated_send_says_what_it_got(own_server: RunningServer) -> None:
    replica = RunningServer(own_server.server, {"replicaof": f"127.0.0.1 {own_server.port}"})
    try:
        async with (
            Queue(own_server.url, "orders", patience=20.0) as orders,
            Queue(own_server.url, "orders", patience=0.2) as hasty,
            Redis.from_url(own_server.url) as redis,
        ):
            # A connection that has written nothing would be told yes at once.
            while not (await redis.set("probe", 1) and await redis.wait(1, 200)):
                pass
            assert (await orders.send({"n": 1})).replicated is None
            assert (await orders.send({"n": 2}, replicated=True)).replicated is True
            assert (await hasty.send({"n": 3}, replicated=True, replicas=2)).replicated is False
            replica.pause()
            assert (await hasty.send({"n": 4}, id="four", replicated=True)).replicated is False
            replica.resume()
            again = await orders.send({"n": 4}, id="four", replicated=True)
            assert (again.repeated, again.replicated) == (True, True)
        async with Redis.from_url(replica.url) as copy:
            assert await copy.xlen("orders") == 4
    finally:
        replica.close()


async def test_replicated_sends_share_their_connections(redis: Redis, shared_server: RunningServer) -> None:
    connections = set()
    async with Queue(shared_server.url, "orders", patience=0.1) as orders:
        async with asyncio.timeout(5):  # each waits for half of the patience
            for n in range(3):
                await orders.send({"n": n}, replicated=True)
                connections.add((await redis.info("stats"))["total_connections_received"])
    assert len(connections) == 1


async def test_what_cannot_be_sent_is_refused_with_the_field(redis: Redis, shared_server: RunningServer) -> None:
    async with Queue(shared_server.url, "orders") as orders:
        for payload, word in [
            ({}, "at least one"),
            ({"sq-id": "x"}, "sq-id"),
            ({"when": object()}, "when"),
            ([1], "list"),
            ({f"f{n}": n for n in range(3001)}, "3000"),
        ]:
            with pytest.raises(PayloadError, match=word):
                await orders.send(payload)
        await orders.send({f"f{n}": "x" for n in range(3000)})
        await orders.send({"blob": b"x" * 10_000_000})
    assert await redis.xlen("orders") == 2


async def test_an_absent_server_is_an_error_without_the_password() -> None:
    async with Queue(f"redis://:secret@127.0.0.1:{free_port()}/0", "orders", patience=0.2) as orders:
        with pytest.raises(RedisProblem) as caught:
            await orders.send({"n": 1})
    assert "secret" not in repr(caught.value) and caught.value.__cause__ is None


async def test_a_key_of_another_type_is_named(redis: Redis, shared_server: RunningServer) -> None:
    await redis.rpush("orders", "x")
    async with Queue(shared_server.url, "orders") as orders:
        with pytest.raises(RedisProblem, match="another type"):
            await orders.send({"n": 1})


async def test_too_few_replicas_are_no_error(
    redis: Redis, shared_server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server waits for them no longer than a connection waits for the server."""
    monkeypatch.setattr(pool, "TIMEOUT", 1.0)
    async with Queue(shared_server.url, "orders") as orders:
        sent = await orders.send({"n": 1}, replicated=True)
    assert (sent.repeated, sent.replicated) == (False, False)


async def test_an_id_that_is_sent_again_later_is_another_task(redis: Redis, shared_server: RunningServer) -> None:
    async def handle(task: dict[str, str]) -> int:
        return int(task["n"])

    async with Queue(shared_server.url, "orders") as orders:
        async with working(shared_server.url, handle, results_ttl=60):
            await orders.send({"n": 1}, id="page", remembered=0.1)
            assert (await orders.wait("page", 20)).value == 1
        await asyncio.sleep(0.1)
        assert not (await orders.send({"n": 2}, id="page", delay=0.2)).repeated
        assert (await orders.result("page")).state == "waiting", "the result of the task before it"
        async with working(shared_server.url, handle, results_ttl=60):
            assert (await orders.wait("page", 20)).value == 2


async def test_a_delayed_task_is_followed_when_it_is_due(redis: Redis, shared_server: RunningServer) -> None:
    async with Queue(shared_server.url, "orders", group="packers") as orders:
        await orders.send({"n": 1}, id="later", delay=0.01)
        assert (await orders.result("later")).state == "waiting"
        await asyncio.sleep(0.02)
        await promote(redis, "orders")
        assert (await orders.result("later")).state == "waiting"
        await redis.xgroup_create("orders", "packers", "0")
        ((_, ((entry, _),)),) = await redis.xreadgroup("packers", "pod", {"orders": ">"})
        found = await orders.result("later")
        assert (found.state, found.worker) == ("pending", "pod")
        await redis.xclaim("orders", "packers", PARKED, 0, [entry])
        found = await orders.result("later")
        assert (found.state, found.worker) == ("waiting", None), "for another try"
        assert (await orders.send({"n": 1}, id="later")).entry == entry.decode()
        await redis.xack("orders", "packers", entry)
        assert (await orders.result("later")).state == "unknown"
        assert 3_590_000 < await redis.pttl("{orders}:sent:later") <= 3_600_010


@pytest.mark.parametrize(
    "error",
    [
        "LOADING Redis is loading the dataset in memory",
        "BUSY Redis is busy running a script",
        "NOREPLICAS Not enough good replicas to write",
        "READONLY You can't write against a read only replica",
        "CLUSTERDOWN Hash slot not served",
    ],
)
async def test_a_send_outlasts_what_passes(redis: Redis, shared_server: RunningServer, error: str) -> None:
    async with Proxy(shared_server.port) as proxy, Queue(proxy.url, "orders") as orders:
        await orders.send({"n": 1})
        proxy.answers[b"*"] = f"-{error}\r\n".encode()
        sending = asyncio.create_task(orders.send({"n": 2}))
        await until(lambda: proxy.answered, "a refusal")
        proxy.answers.clear()
        assert not (await sending).repeated
    assert await redis.xlen("orders") == 2


async def test_a_send_is_tried_again_without_haste(redis: Redis, shared_server: RunningServer) -> None:
    async with Proxy(shared_server.port) as proxy, Queue(proxy.url, "orders", patience=0.3) as orders:
        await orders.send({"n": 1})
        proxy.answers[b"*"] = b"-LOADING Redis is loading the dataset in memory\r\n"
        with pytest.raises(RedisProblem):
            await orders.send({"n": 2})
    assert proxy.answered <= 3, "again after 0.05 s, and 0.1 s more"


async def test_a_send_outlasts_a_connection_that_fell_silent(
    redis: Redis, shared_server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "TIMEOUT", 0.3)
    async with Proxy(shared_server.port) as proxy, Queue(proxy.url, "orders") as orders:
        await orders.send({"n": 1})
        proxy.silence()
        await orders.send({"n": 2})
    assert await redis.xlen("orders") == 2


async def test_a_result_is_asked_for_again_while_redis_is_away(redis: Redis, shared_server: RunningServer) -> None:
    async with Proxy(shared_server.port) as proxy, Queue(proxy.url, "orders") as orders:
        sent = await orders.send({"n": 1})
        proxy.lead_to(free_port())
        asking = asyncio.create_task(orders.result(sent.id))
        while not proxy.connections > 1:  # noqa: ASYNC110 - of the proxy
            await asyncio.sleep(0.01)
        proxy.lead_to(shared_server.port)
        assert (await asking).state == "waiting"


async def test_an_end_that_nobody_announced_is_seen(
    redis: Redis, shared_server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(producer, "LOOK", 0.1)
    look_up, looked = producer.look_up, asyncio.Event()

    async def look(*where: Any) -> Any:
        found = await look_up(*where)
        looked.set()
        return found

    monkeypatch.setattr(producer, "look_up", look)
    result = Keys("orders", "workers").results + "x"
    await redis.hset(result, mapping={"state": "running", "at": 1})
    async with Queue(shared_server.url, "orders") as orders:
        waiting = asyncio.create_task(orders.wait("x", 20))
        await looked.wait()
        await redis.hset(result, mapping={"state": "done", "result": "7"})
        assert (await waiting).value == 7

    async def is_alone() -> bool:
        return bool((await redis.info("clients"))["connected_clients"] == 1)

    await until(is_alone, "the end of the queue's connections", 5.0)
    assert asyncio.all_tasks() == {asyncio.current_task()}, "something goes on"


async def test_many_large_tasks_leave_over_a_slow_network(
    redis: Redis, shared_server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "TIMEOUT", 0.7)
    async with Proxy(shared_server.port) as proxy, Queue(proxy.url, "orders", patience=3.0) as orders:
        proxy.delay = 0.01  # of 64 KiB: all take more than a second
        sent = await orders.send_many({"document": "x" * 400_000} for _ in range(30))
    assert [entry.decode() for entry, _ in await redis.xrange("orders")] == [each.entry for each in sent]

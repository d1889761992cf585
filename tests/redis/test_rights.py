"""The users of docs/security.md: each can do its work with exactly those rights, and with none of them fewer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.exceptions import RedisError

from streamqueue.api.keys import target_on_next_redis
from streamqueue.api.spec import Handler, Protocol, Retention, RetentionPolicy
from streamqueue.maintenance import abandoned, check_server, release, sweep, take_returns
from streamqueue.maintenance.relay import relay
from streamqueue.streams import (
    RedisProblem,
    SnapshotRequest,
    connect,
    ensure_group,
    take_snapshot,
)
from streamqueue.streams.cordon import cordon
from streamqueue.streams.durability import read_durability
from streamqueue.streams.enqueue import NewTask, enqueue, promote
from streamqueue.streams.settlement import Emit
from streamqueue.streams.wait import wait_for_entries
from streamqueue.worker import guard
from tests.redis.queue import Queue, spec
from tests.redis.servers.process import RunningServer
from tests.redis.worker.stores import KEYS, ack, bare_ack, claim, expire, retry, settle, store, take
from tests.redis.worker.stores import release as hand_back

PAGE = Path(__file__).parents[2] / "docs/security.md"
NEXT = "{orders}:next"
PASSWORD = "s3cr3t"
ONCE = spec(max_deliveries=1)
SDK = replace(spec(), handler=Handler(image="none", protocol=Protocol.SDK))
ALL = Retention(RetentionPolicy.ACKNOWLEDGED, max_length=0)  # what is acknowledged may go


async def furnished(admin: Redis) -> Queue:
    """A plain loop and a worker of the SDK with entries in their hands, a delayed task that is due, and outbox
    rows: one for a stream here, one for a stream of `next.redis`, on this server as well.
    """
    await admin.flushall()
    queue = Queue(admin)
    await queue.create()
    await queue.add(6)
    await queue.read("plain", count=2)
    await take(store(admin, "sdk.1"), 2)
    await enqueue(admin, queue.stream, [NewTask("later", [("task", "later")], delay=0.001)])
    for target in (NEXT, target_on_next_redis("paid")):
        await admin.xadd(KEYS.outbox(target), {"sq-row": "row", "of": "x"})
        await admin.sadd(KEYS.outboxes, target)
    await admin.script_flush()  # as after a restart
    return queue


async def operate(queue: Queue, client: Redis) -> None:
    """What the operator does to a queue."""
    await client.ping()  # as its connection does after half a minute without traffic
    assert await ensure_group(client, queue.stream, queue.group) is False
    answer = await take_snapshot(client, SnapshotRequest(queue.stream, queue.group))
    assert (answer.undelivered, answer.pending, answer.dead_letters, answer.outboxed) == (2, 4, 0, 2)
    assert await wait_for_entries(client, {queue.stream: "0-0"}, 1.0) == {queue.stream}
    durable = await read_durability(client)
    assert durable.eviction_policy is not None and durable.persistent is not None
    while (await promote(client, queue.stream))[1] is not None:
        pass
    assert (await relay(client, KEYS, budget=5, next_redis=queue.redis)).delivered == 2
    await abandoned(client, spec(), "plain")
    end = await queue.now() + 1
    assert (await release(client, spec(), "sdk.1", end, "Error")).handed_on == 2
    assert (await release(client, ONCE, "plain", end, "Error")).dead_lettered >= 1
    await queue.redis.xadd(KEYS.returns, {"consumer": "plain", "cause": "abandoned", "delivered-at": 1})
    assert len(await take_returns(client, KEYS)) == 1
    assert (await check_server(client, spec())).until
    report = await sweep(client, spec(consumer_ttl=0.0, retention=ALL), next_redis=queue.redis)
    assert report.trimmed > 0 and report.consumers_deleted > 0, report
    await cordon(client, KEYS, ["sdk"], 60.0)
    await cordon(client, KEYS, [], 60.0)


async def sweep_up(queue: Queue, client: Redis) -> None:
    """What the CronJob does."""
    await queue.read("idle", count=1)
    await queue.ack((await queue.pending())[-1])
    await queue.age(61)
    first = await sweep(client, spec(retention=ALL), next_redis=queue.redis)
    assert first.quiet.restart_detection and (first.promoted, first.relayed) == (1, 2), first
    await queue.redis.hset(queue.epoch, "since", 0)
    report = await sweep(client, spec(consumer_ttl=0.0, retention=ALL))
    assert report.returned == 2 and report.trimmed > 0 and report.consumers_deleted > 0, report
    await expire(queue, *await queue.pending())
    assert (await sweep(client, SDK)).handed_on == 2


async def anything(told: PubSub) -> bool:
    for _ in range(20):
        if await told.get_message(timeout=0.1):
            return True
    return False


async def receive(queue: Queue, client: Redis) -> None:
    """What operator, CronJob and workers do at the endpoint of `next.redis`."""
    await client.ping()
    await queue.redis.srem(KEYS.outboxes, NEXT)  # or its delivery would bring the script along
    report = await relay(queue.redis, KEYS, budget=5, next_redis=client)
    assert (report.delivered, report.stuck) == (1, {})


async def work(queue: Queue, client: Redis) -> None:
    """What a worker of the SDK does, with results and a stream to emit to."""
    await client.ping()
    assert await ensure_group(client, queue.stream, queue.group) is False
    assert (await guard.read_server(client)).token is not None
    while (await promote(client, queue.stream))[1] is not None:
        pass
    assert (await relay(client, KEYS, budget=5, next_redis=queue.redis)).delivered == 2
    a = store(client, "sdk.2", results_ttl=60.0)
    await cordon(queue.redis, KEYS, ["sdk"], 60.0)
    assert (await a.exchange([], 1, 0)).cordoned
    await cordon(queue.redis, KEYS, [], 60.0)
    async with queue.redis.pubsub(ignore_subscribe_messages=True) as told:
        await told.psubscribe(KEYS.results + "*")
        done, failed, back = await take(a, 3)
        assert await a.renew([(done.id, done.token, done.id, "half")]) == []
        await settle(a, ack(done, emits=(Emit(NEXT, [("of", "x")]),)), retry(failed), hand_back(back))
        assert await anything(told), "nobody was told"
    assert await a.wait(1, 0.001) is False
    assert await queue.redis.hget(KEYS.results + done.id, "state") == b"done"
    await settle(a, *(bare_ack(entry) for entry in await take(a)))  # as where no results are kept
    await expire(queue, *await queue.pending())
    await queue.redis.hset(KEYS.attempts, (await queue.pending())[0], 9)  # one has failed often enough
    assert await claim(a)
    await settle(a, *(ack(entry) for entry in await a.adopt([], 100)))
    while await claim(a):
        await settle(a, *(ack(entry) for entry in await a.adopt([], 100)))
    assert await queue.pending() == [] and await a.leave()


ROLES: dict[str, Callable[[Queue, Redis], Awaitable[None]]] = {
    "operator": operate,
    "reclaim": sweep_up,
    "worker": work,
    "results": receive,
}


def rights(role: str, server: str) -> list[str]:
    """Of the page's line for this role."""
    (line,) = [line for line in PAGE.read_text().splitlines() if line.startswith(f"ACL SETUSER {role} ")]
    words = line.split()[3:]
    assert words[:3] == ["on", ">PASSWORD", "resetchannels"]
    # Redis 6.0 has no rights for channels.
    return [word for word in words[3:] if not (server == "redis-6.0" and word.startswith("&"))]


@asynccontextmanager
async def user(admin: Redis, url: str, server: str, words: list[str]) -> AsyncIterator[Redis]:
    first = ["reset", "on", f">{PASSWORD}", *([] if server == "redis-6.0" else ["resetchannels"])]
    await admin.execute_command("ACL", "SETUSER", "app", *first, *words)
    try:
        async with connect(url.replace("://", f"://app:{PASSWORD}@")) as client:
            yield client
    finally:
        await admin.execute_command("ACL", "DELUSER", "app")


@pytest.mark.parametrize("role", ROLES)
async def test_each_right_is_needed_and_all_of_them_do(redis: Redis, shared_server: RunningServer, role: str) -> None:
    server = shared_server.server.name
    words = rights(role, server)
    async with user(redis, shared_server.url, server, words) as client:
        await ROLES[role](await furnished(redis), client)
    spare = []
    for word in words:
        async with user(redis, shared_server.url, server, [other for other in words if other != word]) as client:
            queue = await furnished(redis)
            try:
                await ROLES[role](queue, client)
            except (RedisProblem, RedisError, AssertionError):
                continue
        spare.append(word)
    assert not spare, "rights that nothing needs"

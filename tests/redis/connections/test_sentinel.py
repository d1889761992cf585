"""Three sentinels, a primary and its replica: who is primary is asked of the sentinels, and again after a failover."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from redis.asyncio import Redis

from streamqueue import Queue as Producer
from streamqueue.api.spec import RedisMode
from streamqueue.maintenance import QuietReason, release, sweep
from streamqueue.streams import ProblemKind, RedisProblem, Snapshot, connect
from streamqueue.streams.connection import UrlFile
from tests.redis.connections import steps
from tests.redis.proxy import Proxy
from tests.redis.queue import Queue, spec
from tests.redis.replication import replicated
from tests.redis.servers import tls
from tests.redis.servers.install import Server
from tests.redis.servers.process import free_port
from tests.redis.servers.sentinel import SERVICE, RunningSentinels
from tests.redis.worker.pod import until, working

# Sentinel is a program of its own; the servers behind it are those of the other tests.
pytestmark = pytest.mark.on("redis-7.0", "valkey-9.1")


async def test_a_failover_is_unknown_then_heals_and_takes_no_live_work(sentinels: RunningSentinels) -> None:
    async with connect(f"{sentinels.url}?socket_timeout=1") as client:
        queue = Queue(client)
        await queue.create()
        await queue.add(5)
        await queue.read("pod-1", count=2)
        await queue.age(61)
        await queue.settle(spec())
        await replicated(client)
        sentinels.primary.kill()
        answers = await steps.looks_until_healed(client)
        assert isinstance(answers[0], RedisProblem)
        healed = answers[-1]
        assert isinstance(healed, Snapshot) and (healed.undelivered, healed.pending) == (3, 2)
        report = await sweep(client, spec())
        assert (report.returned, report.quiet.reason) == (0, QuietReason.RESTART)
        # What the cluster tells is evidence all the same.
        assert (await release(client, spec(), "pod-1", await queue.now() + 1, "Error")).returned == 2


async def test_workers_and_producers_go_on_after_a_failover(sentinels: RunningSentinels) -> None:
    done: list[str] = []

    async def handle(task: dict[str, str]) -> None:
        done.append(task["n"])

    async with (
        Producer(sentinels.url, Queue.stream, mode=RedisMode.SENTINEL, patience=steps.PATIENCE) as producer,
        working(sentinels.url, handle),
    ):
        await producer.send({"n": "before"}, replicated=True)
        await until(lambda: done == ["before"], "the first task is done")
        await asyncio.to_thread(sentinels.primary.kill)
        await producer.send({"n": "after"})
        await until(lambda: "after" in done, "the second task is done")
    assert done.count("after") == 1


async def test_a_connection_to_a_sentinel_that_was_reset_is_made_anew(sentinels: RunningSentinels) -> None:
    """It is asked again when the primary's is made anew, perhaps after weeks."""
    async with (
        Proxy(sentinels.sentinels[0].port) as proxy,
        connect(f"{proxy.url.removesuffix('/0').replace('://', '+sentinel://')}/{SERVICE}") as client,
    ):
        assert await client.ping()
        (sentinel,) = client.connection_pool.sentinel_manager.sentinels
        (connection,) = sentinel.connection_pool._available_connections
        proxy.reset()
        await until(connection._writer.transport.is_closing, "the reset")
        await client.connection_pool.disconnect()
        assert await client.ping()


async def test_what_cannot_be_found_is_said(sentinels: RunningSentinels) -> None:
    sentinel = f"redis+sentinel://127.0.0.1:{sentinels.sentinels[0].port}"
    for url, kind in (
        (f"redis+sentinel://127.0.0.1:{free_port()}/mymaster", ProblemKind.UNREACHABLE),
        (f"{sentinel}/another-name", ProblemKind.UNREACHABLE),
        (sentinel, ProblemKind.BAD_URL),
        (f"{sentinel}/mymaster/x", ProblemKind.BAD_URL),
    ):
        try:
            async with connect(url) as client:
                answer = await steps.look(client)
        except RedisProblem as problem:
            answer = problem
        assert isinstance(answer, RedisProblem) and answer.kind is kind, url


@pytest.mark.on("redis-7.0")
async def test_sentinels_and_servers_that_speak_tls_alone(server: Server, tmp_path: Path) -> None:
    if not server.tls:
        pytest.skip("no TLS")
    ca = tls.authority(tmp_path, "private-ca")
    signed = tls.certificate(tmp_path, ca, "IP:127.0.0.1")
    running = RunningSentinels(server, lambda port: {**tls.settings(signed, ca, port), "tls-replication": "yes"}, ca)
    try:
        await running.settle()
        async with connect(f"{running.url}?socket_timeout=1", ca_file=str(ca)) as client:
            queue = Queue(client)
            await queue.create()
            await queue.add(5)
            await replicated(client)
            running.primary.kill()
            healed = (await steps.looks_until_healed(client))[-1]
            assert isinstance(healed, Snapshot) and healed.undelivered == 5
        async with connect(running.url) as stranger:
            answer = await steps.look(stranger)
        assert isinstance(answer, RedisProblem) and "check the CA" in answer.message
    finally:
        running.close()


async def test_new_passwords_are_read_from_the_file_for_the_primary_and_for_sentinels(
    sentinels: RunningSentinels, tmp_path: Path
) -> None:
    file = tmp_path / "url"

    async def let_in(password: str) -> None:
        for running in (sentinels.primary, *sentinels.sentinels):
            async with Redis(port=running.port, protocol=2, password=known) as admin:
                await admin.execute_command("ACL", "SETUSER", "default", "resetpass", f">{password}")
                await admin.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

    def write(password: str) -> None:
        login = sentinels.url.replace("://", f"://:{password}@")
        file.write_text(f"{login}?sentinel_password={password}")

    for sentinel in sentinels.sentinels:  # they are given no password of the primary's, and would take it for gone
        async with Redis(port=sentinel.port, protocol=2) as admin:
            await admin.execute_command("SENTINEL SET", SERVICE, "down-after-milliseconds", 60_000)
    known = None
    await let_in("first")
    known = "first"
    write("first")
    async with connect(UrlFile(str(file), "STREAMQUEUE_REDIS_URL_FILE")) as client:
        await Queue(client).create()
        assert isinstance(await steps.look(client), Snapshot)
        await let_in("second")
        await client.connection_pool.disconnect()
        answer = await steps.look(client)
        assert isinstance(answer, RedisProblem) and answer.kind is ProblemKind.AUTH
        write("second")
        assert isinstance(await steps.look(client), Snapshot)

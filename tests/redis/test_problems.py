"""Every error of a server is a typed problem, never a number; and no text of one holds a secret."""

from __future__ import annotations

import asyncio
import shutil
import signal
import socket
import traceback
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager

import pytest
from redis.asyncio import Redis

from streamqueue.maintenance import check_server, release, sweep
from streamqueue.streams import (
    ProblemKind,
    RedisProblem,
    Snapshot,
    SnapshotRequest,
    connect,
    ensure_group,
    take_snapshots,
)
from tests.redis.proxy import Proxy
from tests.redis.queue import Queue, spec
from tests.redis.replication import replicated
from tests.redis.servers.install import Server
from tests.redis.servers.process import RunningServer, free_port
from tests.redis.worker.pod import until

SECRET = "s3cr3t-Pa55"


async def problem_of(call: Awaitable[object]) -> RedisProblem:
    with pytest.raises(RedisProblem) as caught:
        await call
    assert_no_secret(caught.value)
    return caught.value


async def snapshot_problem(client: Redis) -> RedisProblem:
    (answer,) = await take_snapshots(client, [SnapshotRequest("orders", "workers")])
    assert isinstance(answer, RedisProblem), answer
    assert_no_secret(answer)
    return answer


def assert_no_secret(error: BaseException) -> None:
    """Neither the error nor anything it came from quotes the password."""
    link: BaseException | None = error
    while link is not None:
        for text in (str(link), repr(link), repr(link.args), *traceback.format_exception(link)):
            assert SECRET not in text
        link = link.__cause__ or link.__context__


@asynccontextmanager
async def client_of(running: RunningServer, user: str = "") -> AsyncIterator[Redis]:
    async with connect(running.url.replace("://", f"://{user}@") if user else running.url) as client:
        yield client


@pytest.mark.parametrize(
    "url",
    [
        f"http://:{SECRET}@localhost",
        f"redis://:{SECRET}#x@localhost:6379",
        f"redis://user:{SECRET}@localhost:port",
        f"redis://localhost:{SECRET}",
        f"redis://:{SECRET}@localhost:6379?socket_timeout={SECRET}",
        f"redis://:{SECRET}@[::1",
        f"redis://:{SECRET}@localhost:6379/orders",
        f"unix://{SECRET}",
        SECRET,
        "",
    ],
)
def test_a_url_that_cannot_be_read_is_not_quoted(url: str) -> None:
    with pytest.raises(RedisProblem) as caught:
        connect(url)
    assert caught.value.kind is ProblemKind.BAD_URL
    assert_no_secret(caught.value)


async def test_nobody_listening() -> None:
    async with connect(f"redis://:{SECRET}@127.0.0.1:{free_port()}") as client:
        for problem in (await snapshot_problem(client), await problem_of(ensure_group(client, "orders", "workers"))):
            assert problem.kind is ProblemKind.UNREACHABLE and "ECONNREFUSED" in problem.message


async def test_a_host_without_an_address() -> None:
    async with connect(f"redis://:{SECRET}@nowhere.invalid:6379") as client:
        problem = await snapshot_problem(client)
    assert problem.kind is ProblemKind.UNREACHABLE and "no address" in problem.message


async def test_nobody_answering() -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        async with connect(f"redis://127.0.0.1:{deaf.getsockname()[1]}?socket_timeout=0.3") as client:
            assert (await snapshot_problem(client)).kind is ProblemKind.TIMEOUT


async def test_tls_to_a_plain_port(shared_server: RunningServer) -> None:
    async with connect(
        f"rediss://:{SECRET}@127.0.0.1:{shared_server.port}?socket_timeout=0.5&socket_connect_timeout=0.5"
    ) as client:
        problem = await snapshot_problem(client)
    assert problem.kind in (ProblemKind.TLS, ProblemKind.UNREACHABLE, ProblemKind.TIMEOUT)
    assert problem.kind is ProblemKind.UNREACHABLE or "rediss://" in problem.message


async def test_a_database_that_is_not_there(shared_server: RunningServer) -> None:
    async with connect(f"redis://127.0.0.1:{shared_server.port}/999") as client:
        problem = await snapshot_problem(client)
    assert "no database of the URL's number" in problem.message


async def test_sentinels_that_are_none(shared_server: RunningServer) -> None:
    async with connect(f"redis+sentinel://127.0.0.1:{shared_server.port}/mymaster/0") as client:
        problem = await snapshot_problem(client)
    assert problem.kind is ProblemKind.UNSUPPORTED and "(SENTINEL)" in problem.message


async def test_wrong_and_missing_passwords(own_server: RunningServer) -> None:
    async with client_of(own_server) as admin:
        await admin.execute_command("ACL", "SETUSER", "app", "on", ">right", "~*", "+@all")
        await admin.config_set("requirepass", "right")
    for user in (f"app:{SECRET}", f":{SECRET}", f"nobody:{SECRET}", ""):
        async with client_of(own_server, user) as client:
            assert (await snapshot_problem(client)).kind is ProblemKind.AUTH
            assert (await problem_of(ensure_group(client, "orders", "workers"))).kind is ProblemKind.AUTH
            assert (await problem_of(sweep(client, spec()))).kind is ProblemKind.AUTH


async def test_a_password_where_none_is_set(own_server: RunningServer) -> None:
    # Servers take any password of the default user while it has none; a server whose AUTH was renamed quotes it.
    own_server.close()
    renamed = await asyncio.to_thread(RunningServer, own_server.server, {"rename-command": 'AUTH ""'})
    try:
        async with client_of(renamed, f":{SECRET}") as client:
            assert (await snapshot_problem(client)).kind in (ProblemKind.AUTH, ProblemKind.UNSUPPORTED)
    finally:
        renamed.close()


async def test_each_right_that_is_missing_is_a_problem(own_server: RunningServer) -> None:
    async with client_of(own_server) as admin:
        queue = Queue(admin)
        await queue.create()
        await queue.add()
        await queue.read()
        await queue.age(61)
        await queue.settle(spec(visibility=60))
        for right in ("-xinfo", "-evalsha", "-time", "-xpending", "resetkeys"):
            await admin.execute_command("ACL", "SETUSER", "app", "reset", "on", f">{SECRET}", "~*", "+@all", right)
            async with client_of(own_server, f"app:{SECRET}") as client:
                assert (await snapshot_problem(client)).kind is ProblemKind.NO_PERMISSION, right
        for right in ("-xadd", "-xack", "-hset"):
            await admin.execute_command("ACL", "SETUSER", "app", "reset", "on", f">{SECRET}", "~*", "+@all", right)
            async with client_of(own_server, f"app:{SECRET}") as client:
                problem = await problem_of(sweep(client, spec(visibility=60)))
                assert problem.kind is ProblemKind.NO_PERMISSION, right
        assert len(await queue.pending()) == 1


async def test_a_read_only_replica_can_be_looked_at_and_not_written(server: Server, own_server: RunningServer) -> None:
    replica = await asyncio.to_thread(RunningServer, server, {"replicaof": f"127.0.0.1 {own_server.port}"})
    try:
        async with client_of(own_server) as primary, client_of(replica) as client:
            queue = Queue(primary)
            await queue.create()
            await queue.add(3)
            await queue.read(count=1)
            await replicated(primary)
            snapshot = await Queue(client).snapshot()
            assert (snapshot.undelivered, snapshot.pending) == (2, 1)
            for call in (sweep(client, spec()), ensure_group(client, "other", "workers")):
                assert (await problem_of(call)).kind is ProblemKind.READ_ONLY
    finally:
        replica.close()


async def test_out_of_memory_stops_writes_and_loses_nothing(own_server: RunningServer) -> None:
    async with client_of(own_server) as client:
        queue = Queue(client)
        await queue.create()
        await queue.add(3)
        await queue.read("pod-1")
        await client.config_set("maxmemory", "1")
        assert (await queue.snapshot()).pending == 3
        for call in (sweep(client, spec()), release(client, spec(), "pod-1", await queue.now() + 1, "Error")):
            assert (await problem_of(call)).kind is ProblemKind.OUT_OF_MEMORY
        assert len(await queue.pending()) == 3
        await client.config_set("maxmemory", "0")
        assert (await release(client, spec(), "pod-1", await queue.now() + 1, "Error")).returned == 3


async def test_a_disk_that_fails_stops_writes_and_loses_nothing(server: Server) -> None:
    running = await asyncio.to_thread(RunningServer, server, {"save": "3600 1"})
    try:
        async with client_of(running) as client:
            queue = Queue(client)
            await queue.create()
            await queue.add()
            await queue.read("pod-1")
            shutil.rmtree(running.folder)
            await client.bgsave()

            async def has_failed() -> bool:
                return bool((await client.info("persistence"))["rdb_last_bgsave_status"] == "err")

            await until(has_failed, "a save that failed")
            assert (await queue.snapshot()).pending == 1
            call = release(client, spec(), "pod-1", await queue.now() + 1, "Error")
            assert (await problem_of(call)).kind is ProblemKind.MISCONF
            assert len(await queue.pending()) == 1
    finally:
        running.close()


async def test_a_server_that_is_loading(server: Server) -> None:
    running = await asyncio.to_thread(RunningServer, server, {"rdbcompression": "no"})
    try:
        async with client_of(running) as client:
            async with client.pipeline(transaction=False) as pipe:
                for n in range(1200):
                    pipe.set(f"key-{n}", "x" * 20_000)
                await pipe.execute()
            await client.save()
        running.kill()
        with (running.folder / "server.conf").open("a") as config:
            config.write("key-load-delay 2000\n")
        await asyncio.to_thread(running.start, ("Loading RDB",))
        async with client_of(running) as client:
            assert (await snapshot_problem(client)).kind is ProblemKind.LOADING
            assert (await problem_of(sweep(client, spec()))).kind is ProblemKind.LOADING
    finally:
        running.close()


async def test_too_many_clients(own_server: RunningServer) -> None:
    async with client_of(own_server) as first, client_of(own_server) as second:
        await first.ping()
        await first.config_set("maxclients", "1")
        assert (await snapshot_problem(second)).kind in (ProblemKind.MAX_CLIENTS, ProblemKind.UNREACHABLE)


async def test_a_server_killed_and_back(durable_server: RunningServer) -> None:
    async with client_of(durable_server) as client:
        queue = Queue(client)
        await queue.create()
        await queue.add(2)
        durable_server.kill(signal.SIGKILL)
        assert (await snapshot_problem(client)).kind is ProblemKind.UNREACHABLE
        await asyncio.to_thread(durable_server.start)
        assert (await queue.snapshot()).undelivered == 2


async def test_an_idle_connection_that_was_closed_is_replaced(shared_server: RunningServer, redis: Redis) -> None:
    await Queue(redis).create()
    async with client_of(shared_server) as client:
        queue = Queue(client)
        before = await client.client_id()
        await redis.execute_command("CLIENT", "KILL", "ID", before)
        assert (await queue.snapshot()).group_exists
        assert await client.client_id() != before


async def test_an_idle_connection_that_was_cut_in_silence_is_replaced(
    shared_server: RunningServer, redis: Redis
) -> None:
    await Queue(redis).create()
    async with (
        Proxy(shared_server.port) as proxy,
        connect(f"{proxy.url}?health_check_interval=1&socket_timeout=0.4") as client,
    ):
        await client.ping()
        proxy.silence()
        await asyncio.sleep(1.2)
        (answer,) = await take_snapshots(client, [SnapshotRequest("orders", "workers")])
        assert isinstance(answer, Snapshot)
        assert proxy.connections == 2


@pytest.mark.on("redis-8.6")  # which tells what a connection said of itself
async def test_a_new_connection_says_nothing_before_the_first_command(
    shared_server: RunningServer, redis: Redis
) -> None:
    await redis.config_resetstat()
    async with client_of(shared_server) as client:
        await client.ping()
    said = {name for name in await redis.info("commandstats") if not name.startswith("cmdstat_config")}
    assert said == {"cmdstat_ping"}


async def test_a_look_that_fails_is_no_report(own_server: RunningServer) -> None:
    async with client_of(own_server) as client:
        await client.set(Queue.epoch, "x")
        await Queue(client).create()
        assert (await problem_of(check_server(client, spec()))).kind is ProblemKind.WRONG_TYPE

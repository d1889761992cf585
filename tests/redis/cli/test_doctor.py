"""Each fault made on a real server, and doctor's answer read."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
from collections.abc import Callable

import pytest
from redis.asyncio import Redis
from rich.cells import cell_len

from streamqueue.cli.main import run
from streamqueue.maintenance import release
from streamqueue.streams.settlement import Settlement
from tests.redis.cli.conftest import Called, Cli
from tests.redis.queue import Queue, kill, spec
from tests.redis.servers.install import Server
from tests.redis.servers.process import RunningServer, free_port
from tests.redis.servers.tls import TlsServer
from tests.redis.worker.stores import retry, settle, store, take


async def test_a_healthy_queue_has_no_findings(cli: Cli, queue: Queue) -> None:
    ids = await queue.add(5)
    await queue.read(count=4)
    await queue.ack(*ids[:3])
    assert await cli.doctor() == {}


async def test_no_such_stream_names_the_near_one(cli: Cli, redis: Redis) -> None:
    await redis.xadd("order", {"a": "b"})
    found = await cli.doctor()
    assert found.keys() == {"no-stream"}
    assert "there is order" in found["no-stream"]["cause"]
    assert (await cli.call("doctor")).code == 1


async def test_group_missing_names_the_near_one(cli: Cli, redis: Redis) -> None:
    await redis.xadd("orders", {"a": "b"})
    await redis.xgroup_create("orders", "worker", "0")
    found = await cli.doctor()
    assert found.keys() == {"no-group"}
    assert "its groups are worker" in found["no-group"]["cause"]
    assert "XGROUP CREATE orders workers" in found["no-group"]["next"]


async def test_redis_unreachable(cli: Cli, redis: Redis) -> None:
    cli.url = f"redis://127.0.0.1:{free_port()}/0"
    assert (await cli.doctor()).keys() == {"redis-Unreachable"}
    assert (await cli.call("doctor")).out.splitlines()[-1] == "orders/workers: not looked at: the stream"
    (diagnosis,) = json.loads((await cli.call("doctor", "-o", "json")).out)
    assert (diagnosis["queue"], diagnosis["notRead"]) == ("orders/workers", ["the stream"])


@pytest.mark.on("redis-7.0")  # nothing of it is the server's
async def test_what_people_read_of_problems_of_warnings_and_of_neither(cli: Cli, own_server: RunningServer) -> None:
    cli.url = own_server.url
    async with Redis(port=own_server.port) as client:
        await client.xadd("orders", {"a": "b"})
        called = await cli.call("doctor")
        first, *lines = called.out.splitlines()
        assert (called.code, called.err) == (1, "")
        assert first.startswith("orders/workers: problem no-group: stream orders has no group workers")
        assert [line.split(": ")[:2] for line in lines] == [
            ["  next", "the operator creates it when it runs; by hand"],
            ["orders/workers", "warning persistence"],
            ["  next", "give it a volume, and"],
        ]
        assert (await cli.call("doctor", "-o", "name")) == Called(1, "no-group\npersistence\n", "")
        await client.xgroup_create("orders", "workers", "0")
        assert await cli("doctor", "-o", "name") == "persistence\n"
        await client.config_set("appendonly", "yes")
        assert re.fullmatch(r"orders/workers: ok: \d\d checks found nothing\n", await cli("doctor"))


async def test_wrong_password(cli: Cli, own_server: RunningServer) -> None:
    async with Redis(port=own_server.port) as client:
        await client.config_set("requirepass", "right")
    cli.url = f"redis://:wrong@127.0.0.1:{own_server.port}/0"
    found = await cli.doctor()
    assert found.keys() == {"redis-AuthenticationFailed"}
    assert "password" in found["redis-AuthenticationFailed"]["cause"]


async def test_tls_name_mismatch(cli: Cli, tls_server: Callable[[str], TlsServer]) -> None:
    tls = tls_server("DNS:redis.example.org")
    cli.url = f"rediss://localhost:{tls.port}/0"
    mismatch = await cli.doctor("--ca-file", str(tls.ca))
    untrusted = await cli.doctor()
    assert "another host name" in mismatch["redis-TLSFailed"]["cause"]
    assert "not trusted" in untrusted["redis-TLSFailed"]["cause"]


async def test_the_key_is_no_stream(cli: Cli, redis: Redis) -> None:
    await redis.lpush("orders", "a")
    assert (await cli.doctor()).keys() == {"redis-WrongType"}


async def test_advice_can_be_pasted(cli: Cli, redis: Redis) -> None:
    """`redis-cli` by itself would be another server."""
    _, send = (await cli.doctor())["no-stream"]["next"].split("or: streamqueue ")
    assert await asyncio.to_thread(run, shlex.split(send)) == 0
    _, create = (await cli.doctor())["no-group"]["next"].split(f"redis-cli -u {cli.url} ")
    await redis.execute_command(*shlex.split(create))
    assert (await cli.doctor()) == {}
    cli.url = "redis://127.0.0.1:1/0"
    assert (await cli.doctor())["redis-Unreachable"]["next"].endswith(f"redis-cli -u {cli.url} PING")


async def test_eviction_and_persistence(cli: Cli, own_server: RunningServer) -> None:
    async with Redis(port=own_server.port) as client:
        await Queue(client).create()
        await client.config_set("maxmemory-policy", "allkeys-lru")
        cli.url = own_server.url
        out = (await cli.call("doctor")).out
        assert "maxmemory-policy allkeys-lru" in out
        assert "keeps nothing on disk" in out
        await client.config_set("maxmemory-policy", "noeviction")
        await client.config_set("appendonly", "yes")
    called = await cli.call("doctor")
    assert called.code == 0 and "found nothing" in called.out


async def test_a_server_that_hides_its_settings_is_not_blamed(cli: Cli, own_server: RunningServer) -> None:
    async with Redis(port=own_server.port) as client:
        await Queue(client).create()
        rules = ("on", ">pw", "~*", "+@all", "-config", "-info")
        await client.execute_command("ACL", "SETUSER", "few", *rules)
    cli.url = f"redis://few:pw@127.0.0.1:{own_server.port}/0"
    called = await cli.call("doctor")
    assert called.code == 0 and "found nothing" in called.out


async def test_lag_unknown_and_why(cli: Cli, queue: Queue, server: Server) -> None:
    await queue.add(1200)
    await queue.read(count=1)
    found = await cli.doctor()
    trusted = server.name.startswith("redis-8")
    assert ("lag-unknown" in found) is not trusted
    if not trusted:
        assert "at least 1000" in found["lag-unknown"]["cause"]


async def test_handler_never_acknowledges(cli: Cli, queue: Queue) -> None:
    await queue.add(4)
    await queue.read(count=4)
    assert "never-acknowledges" not in await cli.doctor(), "they have only just been delivered"
    await queue.age(90)
    assert "never-acknowledges" in await cli.doctor()
    await queue.ack(*(await queue.pending())[:1])
    assert "never-acknowledges" not in await cli.doctor(), "one is done"


async def test_who_waits_for_a_retry_is_not_said_to_forget_acknowledging(cli: Cli, queue: Queue) -> None:
    """As while something that all tasks of an SDK worker need is away."""
    await queue.add(4)
    worker = store(queue.redis, "pod-1.a1")
    await settle(worker, *(retry(entry, delay=300) for entry in await take(worker)))
    await queue.age(90)
    assert await cli.doctor() == {}
    await queue.add(3)
    assert len(await take(worker)) == 3
    assert await cli.doctor() == {}, "they have only just been delivered"


async def test_what_a_handler_refuses_is_no_missing_acknowledgement(cli: Cli, queue: Queue) -> None:
    await queue.add(4)
    worker = store(queue.redis, "pod-1.a1")
    await settle(
        worker, *((entry, Settlement("dead", ("handler", "no such customer"))) for entry in await take(worker))
    )
    assert (await cli.doctor()).keys() == {"dead-letters"}


async def test_never_acknowledges_though_everything_comes_back(cli: Cli, queue: Queue) -> None:
    await queue.add(3)
    for _ in range(2):
        await queue.read(count=3)
        await release(queue.redis, spec(), "pod-1", await queue.now() + 1, "abandoned")
    assert "never-acknowledges" in await cli.doctor()


async def test_dead_letters_by_cause(cli: Cli, queue: Queue) -> None:
    await kill(queue, 2, "container OOMKilled, exit code 137")
    await kill(queue, 1, "other")
    found = await cli.doctor()
    assert "2 x container OOMKilled, exit code 137" in found["dead-letters"]["cause"]
    again = f"--redis {cli.url} --stream orders --group workers"
    assert found["dead-letters"]["next"].endswith(f"once mended: streamqueue dlq redrive {again}")


async def test_a_long_cause_is_shown_whole_for_one_letter_alone(cli: Cli, queue: Queue) -> None:
    await kill(queue, 1, "no such customer: " + "漢字" * 200)
    (_, row) = (await cli("dlq", "ls")).splitlines()
    assert "no such customer: 漢字" in row and row.endswith("…") and cell_len(row) < 220
    (_, row) = (await cli("dlq", "ls", "-o", "wide")).splitlines()
    assert len(row) < 250
    assert len((await cli.doctor())["dead-letters"]["cause"]) < 200
    (found,) = await cli.json("dlq", "ls")
    assert found["cause"].endswith("漢字" * 200)


async def test_one_forgotten_group_pins_the_trim(cli: Cli, queue: Queue) -> None:
    await queue.redis.xgroup_create(queue.stream, "forgotten; by all", "0")
    ids = await queue.add(3)
    await queue.read(count=3)
    await queue.ack(*ids)
    found = await cli.doctor()
    assert "group forgotten; by all has no consumer" in found["trim-pinned"]["cause"]
    assert "XGROUP DESTROY orders 'forgotten; by all'" in found["trim-pinned"]["next"], "as a shell takes it"
    await queue.read("reader", group="forgotten; by all", count=1)
    assert "trim-pinned" not in await cli.doctor(), "that group is being read"


async def test_left_pending_by_a_living_worker(cli: Cli, queue: Queue) -> None:
    first, second = await queue.add(2)
    await queue.read("pod-1", count=1)
    await queue.read("pod-1", count=1)
    assert "left-pending" not in await cli.doctor(), "both may be one batch"
    await queue.age(20, first)
    found = await cli.doctor()
    assert "pod-1 left 1 task(s)" in found["left-pending"]["cause"] and first in found["left-pending"]["next"]
    await queue.ack(first)
    assert "left-pending" not in await cli.doctor()
    assert await queue.pending() == [second]


async def test_what_waits_for_its_retry_was_not_left_behind(cli: Cli, queue: Queue) -> None:
    first, _ = await queue.add(2)
    worker = store(queue.redis, "pod-1.a1")
    for entry in await take(worker):
        await settle(worker, retry(entry, delay=600))
    await queue.age(20, first)
    assert "left-pending" not in await cli.doctor()


async def test_payload_trimmed_before_it_was_acknowledged(cli: Cli, queue: Queue) -> None:
    await queue.add(3)
    await queue.read(count=3)
    await queue.redis.xtrim(queue.stream, maxlen=1, approximate=False)
    assert "2 pending task(s) were trimmed" in (await cli.doctor())["trimmed-early"]["cause"]


@pytest.mark.parametrize("output", ["table", "yaml", "name"])
async def test_doctor_prints_in_other_forms(cli: Cli, redis: Redis, output: str) -> None:
    called = await cli.call("doctor", "-o", output)
    assert called.code == 1 and "no-stream" in called.out

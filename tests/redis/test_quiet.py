"""Idle time proves nothing after a restart, a failover, a jump of the clock or a long silence."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from types import SimpleNamespace

import pytest

from streamqueue.maintenance import QuietReason, check_server, release, sweep
from streamqueue.streams import connect
from tests.redis.queue import Queue, spec
from tests.redis.replication import replicated
from tests.redis.servers.install import Server
from tests.redis.servers.process import RunningServer


async def test_the_first_look_is_quiet_for_one_timeout(queue: Queue) -> None:
    await queue.add()
    await queue.read()
    await queue.age(61)
    report = await sweep(queue.redis, spec())
    assert (report.returned, report.quiet.reason) == (0, QuietReason.FIRST_LOOK)
    assert report.quiet.until is not None and 58 < report.quiet.until - await queue.now() <= 60
    assert await queue.redis.pttl(queue.epoch) > 0, "of a queue that is deleted nothing is left"
    assert len(await queue.pending()) == 1


async def test_quiet_ends_by_itself(queue: Queue) -> None:
    quick = spec(visibility=1.2)  # a call may take a quarter of it
    await queue.add()
    await queue.read()
    assert (await sweep(queue.redis, quick)).quiet.until is not None
    await queue.idle(1.25)
    report = await sweep(queue.redis, quick)
    assert (report.returned, report.quiet.until) == (1, None)


async def test_a_container_that_ended_is_evidence_all_the_same(queue: Queue) -> None:
    await queue.add()
    await queue.read("pod-1")
    assert (await sweep(queue.redis, spec())).quiet.until is not None
    assert (await release(queue.redis, spec(), "pod-1", await queue.now() + 1, "Error")).returned == 1


@pytest.mark.parametrize(
    ("field", "change", "reason"),
    [
        ("seen", +5_000, QuietReason.CLOCK),  # the server's clock went back
        ("skew", -20_000, QuietReason.CLOCK),  # it jumped ahead of the client's
        ("seen", -130_000, QuietReason.GAP),  # nobody looked for more than two timeouts
    ],
)
async def test_clock_and_silence_make_quiet(queue: Queue, field: str, change: int, reason: QuietReason) -> None:
    await queue.settle(spec())
    assert (await check_server(queue.redis, spec())).until is None
    await queue.redis.hincrby(queue.epoch, field, change)
    quiet = await check_server(queue.redis, spec())
    assert quiet.reason is reason and quiet.until is not None
    assert (await check_server(queue.redis, spec())).until == quiet.until


@pytest.mark.parametrize(("field", "change"), [("skew", -13_000), ("skew", 13_000), ("seen", -110_000)])
async def test_less_than_a_quarter_of_the_timeout_is_no_jump_and_less_than_two_are_no_silence(
    queue: Queue, field: str, change: int
) -> None:
    await queue.settle(spec())
    await queue.redis.hincrby(queue.epoch, field, change)
    assert (await check_server(queue.redis, spec())).until is None


async def test_a_slow_call_is_no_jump_where_the_timeout_is_short(queue: Queue) -> None:
    quick = spec(visibility=1.0)
    await queue.settle(quick)
    await queue.redis.hincrby(queue.epoch, "skew", 1_000)
    assert (await check_server(queue.redis, quick)).until is None


async def test_a_server_that_tells_of_itself_again_has_not_restarted(queue: Queue) -> None:
    await queue.settle(spec())
    await queue.redis.hset(queue.epoch, "token", "")
    assert (await check_server(queue.redis, spec())).until is None
    await queue.redis.hset(queue.epoch, "token", "of another life")
    assert (await check_server(queue.redis, spec())).reason is QuietReason.RESTART


async def test_a_clock_of_ours_that_is_an_hour_off_is_no_jump(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamqueue.maintenance.quiet.time", SimpleNamespace(time=lambda: time.time() + 3600))
    await queue.settle(spec())
    assert (await check_server(queue.redis, spec())).until is None


async def test_a_long_schedule_is_no_silence(queue: Queue) -> None:
    await queue.settle(spec())
    await queue.redis.hincrby(queue.epoch, "seen", -3_600_000)
    assert (await check_server(queue.redis, spec())).reason is QuietReason.GAP
    await queue.redis.hincrby(queue.epoch, "seen", -3_600_000)
    await queue.redis.hset(queue.epoch, "since", 0)
    assert (await check_server(queue.redis, spec())).until is None


async def test_a_restart_is_seen_and_live_work_stays(durable_server: RunningServer) -> None:
    async with connect(durable_server.url) as client:
        queue = Queue(client)
        await queue.create()
        await queue.add()
        await queue.read()
        await queue.age(61)
        await queue.settle(spec())
        await asyncio.to_thread(durable_server.restart)
        report = await sweep(client, spec())
        assert (report.returned, report.quiet.reason) == (0, QuietReason.RESTART)
        assert len(await queue.pending()) == 1


@pytest.fixture
async def replica(server: Server, own_server: RunningServer) -> AsyncIterator[RunningServer]:
    """A replica of `own_server`."""
    running = await asyncio.to_thread(RunningServer, server, {"replicaof": f"127.0.0.1 {own_server.port}"})
    yield running
    running.close()


async def test_a_failover_is_seen_and_live_work_stays(own_server: RunningServer, replica: RunningServer) -> None:
    async with connect(own_server.url) as primary, connect(replica.url) as second:
        queue = Queue(primary)
        await queue.create()
        await queue.add()
        await queue.read()
        await queue.age(61)
        await queue.settle(spec())
        await replicated(primary)
        own_server.kill()
        await second.execute_command("REPLICAOF", "NO", "ONE")
        report = await sweep(second, spec())
        assert (report.returned, report.quiet.reason) == (0, QuietReason.RESTART)
        assert len(await Queue(second).pending()) == 1


async def test_a_server_that_hides_info_is_said_to(own_server: RunningServer) -> None:
    async with connect(own_server.url) as admin:
        queue = Queue(admin)
        await queue.create()
        await admin.execute_command("ACL", "SETUSER", "app", "on", ">pw", "~*", "+@all", "-info")
        async with connect(own_server.url.replace("redis://", "redis://app:pw@")) as client:
            await check_server(admin, spec())
            known = await admin.hget(queue.epoch, "token")
            report = await sweep(client, spec())
            assert await admin.hget(queue.epoch, "token") == known, "a restart meanwhile would go unseen"
    assert report.quiet.restart_detection is False
    assert "INFO is not allowed" in report.summary()

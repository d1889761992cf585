"""A reply that does not come is a time-out; one clock sees to many reads."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from redis.asyncio import Redis

from streamqueue.streams import ProblemKind, RedisProblem, connect
from streamqueue.streams.connection import send_many
from streamqueue.streams.errors import classify, execute
from streamqueue.streams.script import Script
from tests.redis.proxy import Proxy
from tests.redis.servers.process import RunningServer
from tests.redis.servers.tls import TlsServer
from tests.redis.worker.pod import until

TIMEOUT = 60.0

_ECHO = Script("return ARGV[1]")


class Clock:
    """Loop time, which a test puts forward by `ahead` seconds."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ahead = 0.0
        loop = asyncio.get_running_loop()
        time = loop.time
        monkeypatch.setattr(loop, "time", lambda: time() + self.ahead)


async def blocked(redis: Redis, client: Redis) -> asyncio.Task[Any]:
    """A read that does not end."""
    task = asyncio.create_task(execute(client, "BLPOP", "k", 0))
    while (await redis.info("clients"))["blocked_clients"] == 0:  # noqa: ASYNC110 - the event is on the server
        await asyncio.sleep(0.01)
    return task


async def test_a_read_has_its_own_time_whenever_the_one_before_it_began(
    redis: Redis, shared_server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch)
    async with connect(f"{shared_server.url}?socket_timeout={TIMEOUT}") as client:
        assert await _ECHO(client, [], ["1"]) == b"1"
        clock.ahead = 0.9 * TIMEOUT
        read = await blocked(redis, client)
        clock.ahead = 1.2 * TIMEOUT  # the first would be late by now
        await asyncio.sleep(0.05)
        assert not read.done()
        clock.ahead = 3 * TIMEOUT
        with pytest.raises(RedisProblem) as caught:
            await asyncio.wait_for(read, 20)
        assert caught.value.kind is ProblemKind.TIMEOUT
        assert await _ECHO(client, [], ["2"]) == b"2", "another connection"


async def test_a_script_whose_reply_does_not_come_is_a_timeout(shared_server: RunningServer) -> None:
    async with Proxy(shared_server.port) as proxy, connect(f"{proxy.url}?socket_timeout=0.3") as client:
        assert await _ECHO(client, [], ["1"]) == b"1"
        proxy.silence()
        with pytest.raises(RedisProblem) as caught:
            await _ECHO(client, [], ["2"])
        assert caught.value.kind is ProblemKind.TIMEOUT
        assert await _ECHO(client, [], ["3"]) == b"3", "another connection"


async def test_in_a_pipeline_each_reply_has_its_own_time(shared_server: RunningServer) -> None:
    async with connect(f"{shared_server.url}?socket_timeout=1") as client:
        assert await send_many(client, [("BLPOP", "nothing", 0.5)] * 3) == [None] * 3
        replies = await send_many(client, [("PING",), ("BLPOP", "nothing", 0), ("PING",)])
        assert [classify(reply).kind for reply in replies] == [ProblemKind.TIMEOUT] * 3, "of a connection that failed"
        assert await send_many(client, [("PING",)]) == [b"PONG"], "another connection"


async def test_a_read_through_tls_has_its_time(tls_server: Callable[[str], TlsServer]) -> None:
    server = tls_server("DNS:localhost")
    async with connect(f"rediss://localhost:{server.port}?socket_timeout=1", ca_file=str(server.ca)) as client:
        with pytest.raises(RedisProblem) as caught:
            await execute(client, "BLPOP", "nothing", 0)
        assert caught.value.kind is ProblemKind.TIMEOUT
        assert await _ECHO(client, [], ["1"]) == b"1", "another connection"


def test_a_client_that_was_closed_has_a_clock_in_its_next_event_loop(shared_server: RunningServer) -> None:
    client = connect(f"{shared_server.url}?socket_timeout=0.3")

    async def waits_in_vain() -> ProblemKind:
        async with client:
            with pytest.raises(RedisProblem) as caught:
                await asyncio.wait_for(execute(client, "BLPOP", "nothing", 0), 20)
            await _ECHO(client, [], ["1"])  # its clock runs when the loop ends
        return caught.value.kind

    assert [asyncio.run(waits_in_vain()) for _ in range(2)] == [ProblemKind.TIMEOUT] * 2


def writer_of(client: Redis) -> asyncio.StreamWriter:
    """That of its only connection."""
    (connection,) = client.connection_pool._available_connections
    writer: asyncio.StreamWriter = connection._writer
    return writer


async def test_a_connection_that_was_reset_is_made_anew(shared_server: RunningServer) -> None:
    """Nothing was sent on it since: there is nothing that may have been done."""
    async with Proxy(shared_server.port) as proxy, connect(proxy.url) as client:
        assert await _ECHO(client, [], ["x"]) == b"x"
        proxy.reset()
        await until(writer_of(client).transport.is_closing, "the reset")
        assert await _ECHO(client, [], ["y"]) == b"y"


async def test_a_connection_that_is_reset_in_somebodys_hands_is_a_problem(shared_server: RunningServer) -> None:
    """Of a pipeline or a WAIT: what comes next belongs to what was sent before."""
    async with connect(shared_server.url) as client, client.client() as single:
        assert await _ECHO(single, [], ["x"]) == b"x"
        writer: asyncio.StreamWriter = single.connection._writer
        writer.transport.abort()
        await writer.wait_closed()
        with pytest.raises(RedisProblem) as caught:
            await _ECHO(single, [], ["y"])
        assert caught.value.kind is ProblemKind.UNREACHABLE

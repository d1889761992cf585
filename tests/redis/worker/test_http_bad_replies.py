"""Handlers that do not behave: the runner lives, and the task ends where its rules say."""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress

import pytest

from tests.redis.queue import Queue
from tests.redis.servers.process import RunningServer
from tests.redis.worker.handler_server import answering, running
from tests.redis.worker.pod import until

pytestmark = [pytest.mark.usefixtures("short_reads"), pytest.mark.process]

OK = b"HTTP/1.1 200 OK\r\n"
HEADER = b"Content-Length: 0\r\n\r\n"


async def outcome(
    queue: Queue, server: RunningServer, answer: bytes, *, close: bool = True, results_ttl: float = 60
) -> str:
    """What the dead letter says after two attempts that were answered so; "" if the task was acknowledged."""

    async def raw(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError):  # the look whether anybody listens
            await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        if not close:
            await reader.read()
        writer.close()

    await queue.add()
    limits = {"max_deliveries": 2, "timeout": 1.5, "results_ttl": results_ttl}
    async with answering(raw) as url, running(server.url, url, **limits) as runner:
        await until(lambda: runner.counters.acked or runner.counters.dead, "an end of the task")
    letters = await queue.dead()
    assert len(letters) + runner.counters.acked == 1
    return letters[0]["sq-cause"] if letters else ""


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (b"", "broke the connection"),
        (b"HTTP/1.1 200", "broke the connection"),
        (OK + b"Content-Length: 10\r\n\r\nhalf", "broke the connection"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", "no HTTP"),
        (b"\x00\x01\x02 what is this\r\n\r\n", "no HTTP"),
        (b"SMTP 220 hello\r\n\r\n", "no HTTP"),
        (OK + b"X: " + b"y" * 100_000 + b"\r\n" + HEADER, "no HTTP"),
        (b"HTTP/1.1 999 What\r\n" + HEADER, "HTTP 999"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n" + HEADER, "HTTP 302: redirects are not followed"),
    ],
    ids=["nothing", "half a line", "half a body", "a bad chunk", "bytes", "SMTP", "a header", "status", "redirect"],
)
async def test_an_answer_that_is_none_is_a_failed_attempt(
    queue: Queue, shared_server: RunningServer, answer: bytes, says: str
) -> None:
    assert says in await outcome(queue, shared_server, answer)


@pytest.mark.parametrize("results_ttl", [60, 0])
@pytest.mark.parametrize(
    ("answer", "is_result"),
    [
        (OK + b"Content-Length: 99999999999\r\n\r\n" + b"x" * (17 << 20), False),
        (OK + b"Content-Type: application/json\r\nContent-Length: 5\r\n\r\n{oops", False),
        (OK + b"Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f\x8b\xff\xff", False),
        (b"HTTP/1.0 200 OK\r\n\r\nno length at all", True),
    ],
    ids=["huge", "no JSON", "gzip that is none", "HTTP/1.0"],
)
async def test_a_success_is_one_whatever_its_body(
    queue: Queue,
    shared_server: RunningServer,
    caplog: pytest.LogCaptureFixture,
    answer: bytes,
    is_result: bool,
    results_ttl: float,
) -> None:
    """That it is no result is said where one is wanted."""
    assert await outcome(queue, shared_server, answer, results_ttl=results_ttl) == ""
    assert ("the result is not kept" in caplog.text) is (results_ttl > 0 and not is_result)


@pytest.mark.parametrize("answer", [b"", OK + b"Content-Length: 5\r\n\r\nh"], ids=["never", "never in full"])
async def test_a_handler_that_never_answers_is_timed_out(
    queue: Queue, shared_server: RunningServer, answer: bytes
) -> None:
    assert await outcome(queue, shared_server, answer, close=False) == "timeout after 1.5 s"


async def test_a_refusal_without_end_is_cut_short(queue: Queue, shared_server: RunningServer) -> None:
    cut = asyncio.Event()

    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 400 Bad\r\n\r\n")
            try:
                while True:
                    writer.write(b"because " * 1000)
                    await writer.drain()
            finally:
                cut.set()
        writer.close()

    await queue.add()
    async with answering(endless) as url, running(shared_server.url, url) as runner:
        await until(lambda: runner.counters.dead, "the dead letter")
        await asyncio.wait_for(cut.wait(), 5)
    said = (await queue.dead())[0]["sq-cause"]
    assert said.startswith("HTTP 400: because because") and len(said) < 400


async def test_an_answer_before_the_whole_of_the_request_counts(queue: Queue, shared_server: RunningServer) -> None:
    """As servers refuse what is too large for them."""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 4\r\n\r\nlong")
            await writer.drain()
        writer.close()

    await queue.redis.xadd(queue.stream, {"document": "x" * 10_000_000})
    async with answering(refuse) as url, running(shared_server.url, url, max_deliveries=2) as runner:
        await until(lambda: runner.counters.dead, "the dead letter")
    (letter,) = await queue.dead()
    assert (letter["sq-cause"], letter["sq-attempt"]) == ("HTTP 413: long", "1")


async def test_an_idle_connection_is_closed_before_servers_close_it(queue: Queue, shared_server: RunningServer) -> None:
    """As Node and uvicorn do after 5 s: a request that meets that end is a crash."""
    closed = asyncio.Event()

    async def raw(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(OK + HEADER)
            await reader.read()  # to its end
            closed.set()
        writer.close()

    await queue.add()
    async with answering(raw) as url, running(shared_server.url, url) as runner:
        await until(lambda: runner.counters.acked, "the task")
        await asyncio.wait_for(closed.wait(), 5)


async def test_a_second_answer_is_none_to_the_next_task(queue: Queue, shared_server: RunningServer) -> None:
    asked = 0

    async def raw(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(int(re.search(rb"(?i)content-length: (\d+)", head)[1]))  # type: ignore[index]
                asked += 1
                writer.write((OK + HEADER) * 2)
                await writer.drain()
        writer.close()

    await queue.add(20)
    async with answering(raw) as url, running(shared_server.url, url, results_ttl=60) as runner:
        await until(lambda: runner.counters.acked == 20, "all")
        assert (asked, runner.counters.parked) == (20, 0)

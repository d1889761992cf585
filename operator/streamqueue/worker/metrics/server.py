"""Serves a worker's metrics: `GET /metrics`, and nothing else."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from redis.asyncio import Redis

from streamqueue.streams.errors import RedisProblem
from streamqueue.streams.server import clock_of
from streamqueue.worker.metrics.exposition import CONTENT_TYPE, Metrics
from streamqueue.worker.metrics.pool import Row, listen

STALE = 1.0  # seconds by which what one of several processes tells of the others may be old
PATIENCE = 5.0  # seconds for a request to arrive
LONGEST_HEAD = 8 << 10  # bytes


@asynccontextmanager
async def metrics_served(port: int, client: Redis, metrics: Metrics, row: Row | None) -> AsyncIterator[None]:
    """While inside, on all addresses. 0: not served. A port that is taken is logged: tasks matter more.

    With a `row` this is one of several processes: it answers for all of them.
    """
    server = await _server(port, client, metrics, row) if port else None
    writing = asyncio.create_task(_keep(row, metrics)) if row else None
    try:
        yield
    finally:
        if server:
            server.close()
        if row and writing:
            writing.cancel()
            row.write(metrics.values())


async def _keep(row: Row, metrics: Metrics) -> None:
    """For the others, who may be asked."""
    while True:
        row.write(metrics.values())
        await asyncio.sleep(STALE)


async def _server(port: int, client: Redis, metrics: Metrics, row: Row | None) -> asyncio.Server | None:
    def text() -> str:
        return metrics.text(row.pool.total() if row else None)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # TimeoutError is an OSError. Before Python 3.12 asyncio logs a cancellation, which is the end of the process.
        with suppress(OSError, EOFError, asyncio.LimitOverrunError, asyncio.CancelledError):
            async with asyncio.timeout(PATIENCE):
                head = await reader.readuntil(b"\r\n\r\n")
                await _compare_clocks(client, metrics)
                writer.write(_response(head, text))
                await writer.drain()
        writer.close()

    await _compare_clocks(client, metrics)
    listening = row.pool.listening if row else listen(port)
    return await asyncio.start_server(answer, sock=listening, limit=LONGEST_HEAD) if listening else None


async def _compare_clocks(client: Redis, metrics: Metrics) -> None:
    with suppress(RedisProblem, TimeoutError):
        sent = time.time()
        async with asyncio.timeout(STALE):  # the rest can be told without Redis
            there = await clock_of(client)
        metrics.server_ahead = there - (sent + time.time()) / 2


def _response(head: bytes, text: Callable[[], str]) -> bytes:
    words = head.split(b"\r\n", 1)[0].split(b" ")
    status, body = "404 Not Found", "GET /metrics\n"
    if len(words) == 3 and words[0] == b"GET" and words[1].partition(b"?")[0] == b"/metrics":
        status, body = "200 OK", text()
    payload = body.encode()
    lines = (f"HTTP/1.1 {status}", f"Content-Type: {CONTENT_TYPE}", f"Content-Length: {len(payload)}")
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode() + payload

"""What a worker may believe of the server's own account."""

from __future__ import annotations

import asyncio
import time

import pytest

from streamqueue.streams import connect
from streamqueue.worker.guard import read_server
from tests.redis.servers.install import Server
from tests.redis.servers.process import RunningServer


@pytest.mark.on("redis-6.0", "valkey-9.1")
async def test_a_server_is_never_taken_for_older_than_it_is(server: Server) -> None:
    """It counts whole seconds, and the one that it began in."""
    started = time.monotonic()
    running = await asyncio.to_thread(RunningServer, server)
    try:
        async with connect(running.url) as client:
            while (age := time.monotonic() - started) < 2.1:  # it has counted up twice
                assert (await read_server(client)).uptime <= age
                await asyncio.sleep(0.01)
    finally:
        running.close()

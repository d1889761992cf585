"""The queue under test, with a group."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from tests.redis.queue import Queue
from tests.redis.servers.install import Server
from tests.redis.servers.process import RunningServer


@pytest.fixture
async def queue(redis: Redis) -> Queue:
    queue = Queue(redis)
    await queue.create()
    return queue


@pytest.fixture
async def durable_server(server: Server) -> AsyncIterator[RunningServer]:
    """A server for this test alone, which may be restarted and then has every acknowledged write."""
    running = await asyncio.to_thread(RunningServer, server, {"appendonly": "yes", "appendfsync": "always"})
    yield running
    running.close()

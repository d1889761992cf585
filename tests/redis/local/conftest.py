"""A queue whose group exists."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis

from tests.redis.queue import Queue


@pytest.fixture
async def queue(redis: Redis) -> Queue:
    queue = Queue(redis)
    await queue.create()
    return queue

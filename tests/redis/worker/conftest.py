"""The queue under test, with a group."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis

from streamqueue.worker import intake
from tests.redis.queue import Queue


@pytest.fixture
def short_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that stops waits for its blocked read; the tests need not."""
    monkeypatch.setattr(intake, "BLOCK", 0.1)


@pytest.fixture
async def queue(redis: Redis) -> Queue:
    queue = Queue(redis)
    await queue.create()
    return queue

"""A worker inside the test's own loop."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from streamqueue import Worker
from tests.redis.queue import Queue

PATIENCE = 60.0  # seconds; other programs may be busy, too


def made(url: str, function: Callable[..., Any], *, batch: bool = False, **settings: Any) -> Worker:
    """A worker of the queue of the tests, with short times unless `settings` say otherwise."""
    worker = Worker(
        redis_url=url,
        stream=Queue.stream,
        group=Queue.group,
        **{"visibility_timeout": 3.0, "backoff_initial": 0.05, "timeout": 10.0, "consumer": "pod", **settings},
    )
    (worker.batch if batch else worker.task)(function)
    return worker


@asynccontextmanager
async def working(
    url: str, function: Callable[..., Any], *, batch: bool = False, **settings: Any
) -> AsyncIterator[Worker]:
    """`function` at work on the queue of the tests; stopped at the end, what runs is finished."""
    worker = made(url, function, batch=batch, **settings)
    serving = asyncio.create_task(worker.serve())
    try:
        yield worker
    finally:
        worker.stop()
        await asyncio.wait_for(serving, PATIENCE)


async def until(condition: Callable[[], Any], what: str, patience: float = PATIENCE) -> Any:
    """Wait for something that the test cannot await; what `condition`, or its coroutine, returned at last."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        found = condition()
        if inspect.isawaitable(found):
            found = await found
        if found:
            return found
        await asyncio.sleep(0.01)
    raise AssertionError(f"never came true: {what}")


async def a_read_is_under_way(queue: Queue) -> None:
    async def is_blocked() -> bool:
        return bool((await queue.redis.info("clients"))["blocked_clients"])

    await until(is_blocked, "a blocked read")

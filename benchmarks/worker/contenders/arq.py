"""arq: a job is retried when its worker dies; at least once."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

# This file has the name of the package that it imports.
sys.path = [entry for entry in sys.path if Path(entry or ".").resolve() != Path(__file__).parent]
from arq import create_pool, run_worker  # noqa: E402
from arq.connections import RedisSettings  # noqa: E402
from meter import CONCURRENCY, SECONDS, TASKS, URL, tick  # noqa: E402


async def handle(ctx: dict[str, Any], n: int) -> None:
    if SECONDS:
        await asyncio.sleep(SECONDS)
    tick()


class Settings:
    functions = (handle,)
    redis_settings = RedisSettings.from_dsn(URL)
    max_jobs = CONCURRENCY if SECONDS else 100
    queue_read_limit = 100
    poll_delay = 0.01
    keep_result = 0


async def fill() -> None:
    pool = await create_pool(Settings.redis_settings)
    for start in range(0, TASKS, 50):
        await asyncio.gather(*(pool.enqueue_job("handle", n) for n in range(start, start + 50)))


if sys.argv[1] == "fill":
    asyncio.run(fill())
else:
    run_worker(Settings)

"""The SDK: `ours` an `async def` handler, `ours-batch` one of a hundred tasks at once, `ours-plain` a `def` in threads;
`ours-http` the http runner.

`ours.py handle` is the http runner's handler, a process of its own.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time

from meter import CONCURRENCY, SECONDS, TASKS, URL, tick
from redis.asyncio import Redis

from streamqueue import Queue, Worker

SLOTS = 100 if not SECONDS or os.environ["BENCH_CONTENDER"] == "ours-batch" else CONCURRENCY
PORT = int(os.environ["BENCH_PORT"])
worker = Worker(redis_url=URL, stream="bench", concurrency=SLOTS)


async def handle(task: dict[str, str]) -> None:
    int(task["n"])
    if SECONDS:
        await asyncio.sleep(SECONDS)
    tick()


async def handle_batch(tasks: list[dict[str, str]]) -> None:
    for task in tasks:
        int(task["n"])
        if SECONDS:
            time.sleep(SECONDS)  # noqa: ASYNC251 - a tenth of a second at most, as the raw loop that reads a hundred
        tick()


def handle_plain(task: dict[str, str]) -> None:
    int(task["n"])
    if SECONDS:
        time.sleep(SECONDS)
    tick()


async def fill() -> None:
    if os.environ["BENCH_CONTENDER"] == "ours-batch":
        await fill_plainly()
        return
    async with Queue(URL, "bench") as queue:
        await queue.send_many({"n": n} for n in range(TASKS))


async def fill_plainly() -> None:
    """With XADD, as for the raw loop: the same entries, without an id of ours."""
    async with Redis.from_url(URL) as client:
        for _ in range(0, TASKS, 500):
            pipe = client.pipeline(transaction=False)
            for n in range(500):
                pipe.xadd("bench", {"n": n})
            await pipe.execute()


def run_http() -> None:
    from streamqueue.worker.http.runner import Runner
    from streamqueue.worker.http.settings import Target
    from streamqueue.worker.process import run
    from streamqueue.worker.settings import Settings

    settings = Settings(redis_url=URL, stream="bench", consumer="bench", concurrency=SLOTS)
    run(lambda: Runner(settings, Target(f"http://127.0.0.1:{PORT}/")))


def serve() -> None:
    from aiohttp import web

    async def answer(request: web.Request) -> web.Response:
        await handle(await request.json())
        return web.Response(status=204)

    application = web.Application()
    application.router.add_post("/", answer)
    web.run_app(application, host="127.0.0.1", port=PORT, access_log=None, print=None)


if sys.argv[1] == "fill":
    asyncio.run(fill())
elif sys.argv[1] == "handle":
    serve()
elif os.environ["BENCH_CONTENDER"] == "ours-http":
    run_http()
elif os.environ["BENCH_CONTENDER"] == "ours-batch":
    worker.batch(handle_batch)
    worker.run()
else:
    worker.task(handle_plain if os.environ["BENCH_CONTENDER"] == "ours-plain" else handle)
    worker.run()

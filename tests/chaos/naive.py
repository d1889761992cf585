"""The loop that people write: read ten, work, acknowledge; and now and then claim to oneself what hangs.

Started as the actors of tests.chaos.actors are. It shows that the storm can be lost.
"""

from __future__ import annotations

import os
import random
import time
from contextlib import suppress
from typing import Any

from redis import Redis
from redis.exceptions import RedisError, ResponseError

from tests.chaos.actors import BATCH, PATIENCE, STREAM, Actor

GROUP = "workers"


def run(actor: Actor) -> None:
    record = actor.open()
    redis = Redis.from_url(os.environ["STREAMQUEUE_REDIS_URL"], protocol=2)
    if actor.count:
        produce(redis, record, actor.name, actor.count, actor.rate)
    else:
        work(redis, record)


def work(redis: Redis, record: int) -> None:
    consumer = f"worker-{os.getpid()}"
    visibility = int(1000 * float(os.environ["STREAMQUEUE_VISIBILITY_TIMEOUT"]))
    reclaimed = 0.0
    while True:
        try:
            _create_group(redis)
            if time.monotonic() - reclaimed > 1:
                reclaimed = time.monotonic()
                for row in redis.xpending_range(STREAM, GROUP, "-", "+", 10):
                    redis.xclaim(STREAM, GROUP, consumer, visibility, [row["message_id"]])
            for entry, task in _read(redis, consumer):
                time.sleep(random.uniform(0.0, 2 * float(task[b"seconds"])))
                os.write(record, task[b"id"] + b"\n")
                redis.xack(STREAM, GROUP, entry)
        except RedisError:
            time.sleep(0.2)


def _create_group(redis: Redis) -> None:
    with suppress(ResponseError):
        redis.xgroup_create(STREAM, GROUP, "0", mkstream=True)


def _read(redis: Redis, consumer: str) -> list[tuple[bytes, dict[bytes, bytes]]]:
    reply: Any = redis.xreadgroup(GROUP, consumer, {STREAM: ">"}, count=BATCH, block=1000)
    return reply[0][1] if reply else []


def produce(redis: Redis, record: int, name: str, count: int, rate: float) -> None:
    started = time.monotonic()
    for n in range(count):
        time.sleep(max(0.0, started + n / rate - time.monotonic()))
        _add(redis, {"id": f"{name}-{n}", "seconds": "0.01"})
        os.write(record, f"{name}-{n}\n".encode())


def _add(redis: Redis, task: dict[str, str]) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            redis.xadd(STREAM, task)  # type: ignore[arg-type]
        except RedisError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
        else:
            return

"""The loop of the tutorials on redis-py: XREADGROUP COUNT 100, then XACK; `raw` one by one, the others a hundred.

`raw-careful` loses nothing, either: it reads its own pending entries first, and claims those of others now and then.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator

import redis
from meter import SECONDS, TASKS, URL, tick

BATCHED = os.environ["BENCH_CONTENDER"] != "raw"
CAREFUL = os.environ["BENCH_CONTENDER"] == "raw-careful"
IDLE = 30.0  # seconds until an entry of another consumer is claimed, and between two looks
client = redis.Redis.from_url(URL)


def fill() -> None:
    client.xgroup_create("bench", "workers", "0", mkstream=True)
    for _ in range(0, TASKS, 500):
        pipe = client.pipeline(transaction=False)
        for n in range(500):
            pipe.xadd("bench", {"n": n})
        pipe.execute()


def batches() -> Iterator[list[tuple[bytes, dict[bytes, bytes]]]]:
    start, looked = "0" if CAREFUL else ">", time.monotonic()
    while True:
        if CAREFUL and time.monotonic() - looked > IDLE:
            looked = time.monotonic()
            yield client.xautoclaim("bench", "workers", "one", int(IDLE * 1000), count=100)[1]
        for _, entries in client.xreadgroup("workers", "one", {"bench": start}, count=100, block=1000) or []:
            start = start if entries else ">"
            yield entries


def work() -> None:
    for entries in batches():
        done = []
        for entry, fields in entries:
            int(fields[b"n"])
            if SECONDS:
                time.sleep(SECONDS)
            tick()
            if BATCHED:
                done.append(entry)
            else:
                client.xack("bench", "workers", entry)
        if done:
            client.xack("bench", "workers", *done)


fill() if sys.argv[1] == "fill" else work()

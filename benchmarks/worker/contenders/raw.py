"""The loop of the tutorials on redis-py: XREADGROUP COUNT 100, then XACK; `raw` one by one, `raw-batched` a hundred."""

from __future__ import annotations

import os
import sys
import time

import redis
from meter import SECONDS, TASKS, URL, tick

BATCHED = os.environ["BENCH_CONTENDER"] == "raw-batched"
client = redis.Redis.from_url(URL)


def fill() -> None:
    client.xgroup_create("bench", "workers", "0", mkstream=True)
    for _ in range(0, TASKS, 500):
        pipe = client.pipeline(transaction=False)
        for n in range(500):
            pipe.xadd("bench", {"n": n})
        pipe.execute()


def work() -> None:
    while True:
        for _, entries in client.xreadgroup("workers", "one", {"bench": ">"}, count=100, block=1000) or []:
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

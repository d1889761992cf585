"""The loop of the tutorials on redis-py: XREADGROUP COUNT 100, then XACK; `raw` one by one, the others a hundred.

`raw-careful` loses nothing, either: it reads its own pending entries first, and claims those of others now and then.
`raw-waits` has the server work as long for each hundred as the SDK's scripts do: what waiting alone costs a client.
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
WAITS = os.environ["BENCH_CONTENDER"] == "raw-waits"
WAIT = 0.0004  # seconds of the server for a hundred tasks: what `ours-batch` has more than `raw-batched`
BUSY = "local x = 0 for i = 1, ARGV[1] do x = x + i end"
IDLE = 30.0  # seconds until an entry of another consumer is claimed, and between two looks
client = redis.Redis.from_url(URL)


def fill() -> None:
    client.xgroup_create("bench", "workers", "0", mkstream=True)
    for _ in range(0, TASKS, 500):
        pipe = client.pipeline(transaction=False)
        for n in range(500):
            pipe.xadd("bench", {"n": n})
        pipe.execute()


def turns_of(seconds: float) -> int:
    """Of BUSY, which take the server so long."""
    turns, times = 1_000_000, []
    for _ in range(5):
        began = time.monotonic()
        client.eval(BUSY, 0, turns)
        times.append(time.monotonic() - began)
    return round(turns * seconds / min(times))


def batches() -> Iterator[list[tuple[bytes, dict[bytes, bytes]]]]:
    start, looked = "0" if CAREFUL else ">", time.monotonic()
    busy, turns = client.register_script(BUSY), turns_of(WAIT) if WAITS else 0
    while True:
        if WAITS:
            busy(args=[turns])
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

"""Replays the trace, faster than it happened: `python producer.py --url redis://127.0.0.1:6379 --stream inference`."""

from __future__ import annotations

import argparse
import csv
import datetime
import time
from collections.abc import Iterator
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

TRACE = Path(__file__).with_name("trace.csv")


def arrivals(path: Path = TRACE) -> Iterator[tuple[float, dict[str, str]]]:
    """Each request of the trace: seconds since the first, and its fields."""
    first: float | None = None
    with path.open(newline="") as rows:
        for row in csv.DictReader(rows):
            when = datetime.datetime.fromisoformat(row.pop("TIMESTAMP")[:26]).timestamp()
            first = when if first is None else first
            yield when - first, row


def replay(client: redis.Redis, stream: str, speed: float) -> Iterator[str]:
    """Add each request `speed` times as fast as it came; yields the id of each entry, which is the task's id.

    The tasks carry `speed` too: the handler is that much faster, so that the fleet has the shape of the real one.
    """
    started = time.monotonic()
    for due, task in arrivals():
        time.sleep(max(0.0, started + due / speed - time.monotonic()))
        # A redis-py client retries by itself: one XADD whose answer was lost would become two tasks.
        task["speed"] = f"{speed:g}"
        yield str(client.xadd(stream, task))  # type: ignore[arg-type]


def connect(url: str) -> redis.Redis:
    """A client that never sends a command twice."""
    return redis.Redis.from_url(url, decode_responses=True, retry=Retry(NoBackoff(), 0))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="redis://127.0.0.1:6379", help="of the Redis server")
    parser.add_argument("--stream", default="inference")
    parser.add_argument("--speed", type=float, default=5.0, help="5: ten minutes of the trace in two")
    args = parser.parse_args()
    for entry in replay(connect(args.url), args.stream, args.speed):
        print(entry, flush=True)


if __name__ == "__main__":
    main()

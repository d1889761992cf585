"""A producer at work beside a test."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tests.e2e.queue import Queue


@contextmanager
def producing(queue: Queue, per_second: float, **fields: str) -> Iterator[list[str]]:
    """So many tasks a second with these fields, all the while; the ids of what was added so far."""
    ids: list[str] = []
    over = threading.Event()

    def produce() -> None:
        while not over.wait(1 / per_second):
            ids.extend(queue.add(1, **fields))

    producer = threading.Thread(target=produce, daemon=True)
    producer.start()
    try:
        yield ids
    finally:
        over.set()
        producer.join()

"""The producer for programs without an event loop: the asynchronous one, in a thread of its own."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine, Iterable, Sequence
from functools import partial
from typing import Any, TypeVar

from streamqueue.api.spec import RedisAuth, RedisMode
from streamqueue.worker.producer.queue import PATIENCE, REMEMBERED, Queue, Sent
from streamqueue.worker.producer.results import Result

T = TypeVar("T")


class SyncQueue:
    """`Queue` for plain code: `with SyncQueue(url, "orders") as orders: orders.send({"sku": "x"})`.

    May be shared by threads, and used on both sides of a fork. Methods raise what those of `Queue` raise. Inside an
    event loop they would block it: use `Queue` there.
    """

    def __init__(
        self,
        url: str,
        stream: str,
        *,
        group: str = "workers",
        patience: float = PATIENCE,
        mode: str = RedisMode.AUTO,
        ca_file: str | None = None,
        auth: str = RedisAuth.PASSWORD,
    ) -> None:
        """As Queue."""
        self._make = partial(Queue, url, stream, group=group, patience=patience, mode=mode, ca_file=ca_file, auth=auth)
        self._make()  # what cannot be used is said now
        self._lock = threading.Lock()
        self._process = os.getpid()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._queue: Queue | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> SyncQueue:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(
        self,
        payload: Any,
        *,
        id: str | None = None,
        delay: float = 0.0,
        remembered: float = REMEMBERED,
        replicated: bool = False,
        replicas: int = 1,
    ) -> Sent:
        """As Queue.send."""
        return self._run(
            lambda queue: queue.send(
                payload, id=id, delay=delay, remembered=remembered, replicated=replicated, replicas=replicas
            )
        )

    def send_many(self, payloads: Iterable[Any], *, ids: Sequence[str] | None = None, delay: float = 0.0) -> list[Sent]:
        """As Queue.send_many."""
        listed = list(payloads)  # in the caller's thread
        return self._run(lambda queue: queue.send_many(listed, ids=ids, delay=delay))

    def result(self, id: str) -> Result:
        """As Queue.result."""
        return self._run(lambda queue: queue.result(id))

    def wait(self, id: str, timeout: float | None = None) -> Result:
        """As Queue.wait."""
        return self._run(lambda queue: queue.wait(id, timeout))

    def close(self) -> None:
        """Calls of other threads that are under way are cancelled."""
        if self._process != os.getpid():
            return
        with self._lock:
            loop, thread, self._loop = self._loop, self._thread, None
        if loop and thread:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()

    def _run(self, call: Callable[[Queue], Coroutine[Any, Any, T]]) -> T:
        if self._process != os.getpid():
            self._lock = threading.Lock()  # a thread of the other process may have had it at the fork
        with self._lock:  # what comes before a close() is cancelled by it, what comes later has a new loop
            loop, queue = self._running()
            future = asyncio.run_coroutine_threadsafe(call(queue), loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()  # the caller was interrupted: nobody waits any more
            raise

    def _running(self) -> tuple[asyncio.AbstractEventLoop, Queue]:
        """The loop and the queue of this process: a thread does not survive a fork, nor do its connections."""
        if self._loop is None or self._queue is None or self._process != os.getpid():
            self._process, self._loop = os.getpid(), None
            loop, queue = asyncio.new_event_loop(), self._make()
            thread = threading.Thread(target=_serve, args=(loop, queue), daemon=True, name="streamqueue-producer")
            thread.start()  # which may be refused
            self._loop, self._queue, self._thread = loop, queue, thread
        return self._loop, self._queue


def _serve(loop: asyncio.AbstractEventLoop, queue: Queue) -> None:
    try:
        loop.run_forever()
        loop.run_until_complete(_end(queue))
    finally:
        loop.close()


async def _end(queue: Queue) -> None:
    calls = asyncio.all_tasks() - {asyncio.current_task()}
    for call in calls:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)
    await queue.close()

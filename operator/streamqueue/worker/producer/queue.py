"""The producer: tasks into a queue, and what became of them."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis

from streamqueue.api.keys import Keys, StreamKeys
from streamqueue.api.spec import RedisAuth, RedisMode
from streamqueue.streams.connection import MAX_CONNECTIONS, block_for, connect, credentials_for, node_of
from streamqueue.streams.enqueue import STEP, Enqueued, NewTask, enqueue
from streamqueue.streams.errors import ProblemKind, RedisProblem, execute
from streamqueue.worker.payload.encoding import encode
from streamqueue.worker.payload.trace_context import Fields
from streamqueue.worker.producer.announcements import Announcements
from streamqueue.worker.producer.results import Result, look_up
from streamqueue.worker.tracing.hooks import sending

REMEMBERED = 3600.0  # seconds for which an id that was sent is known
PATIENCE = 10.0  # seconds for which a send is tried again while Redis is away
BYTES = 1_000_000  # of what is sent at once, but for a task that is larger
LONGEST = 100 * 365 * 86400.0  # seconds of a delay
LOOK = 1.0  # seconds between two looks of wait(): a message may be missed

# A repeated call is harmless, since each task has an id.
_PASSING = {
    ProblemKind.UNREACHABLE,
    ProblemKind.TIMEOUT,
    ProblemKind.LOADING,
    ProblemKind.READ_ONLY,
    ProblemKind.BUSY,
    ProblemKind.NO_REPLICAS,
    ProblemKind.CLUSTER,
}


@dataclass(frozen=True, slots=True)
class Sent:
    """An acknowledged send.

    `repeated`: the id had been sent before, and nothing was added. `replicated`: as many replicas as were asked for
    have it; False means unknown, not lost; None: nobody asked.
    """

    id: str
    entry: str | None  # the stream id; None for a delayed task
    repeated: bool = False
    replicated: bool | None = None


class Queue:
    """A queue to send to: `async with Queue(url, "orders") as orders: await orders.send({"sku": "x"})`.

    All methods raise RedisProblem when Redis refuses, or stays away for longer than `patience` seconds. A send that
    failed may have arrived: sending again with the same `id` is safe.
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
        """`mode`, `ca_file` (a PEM file) and `auth` are as in the manifest's `redis` block."""
        credentials = credentials_for(RedisAuth(auth))
        self._client = connect(url, mode=RedisMode(mode), ca_file=ca_file, credentials=credentials)
        self._stream = StreamKeys(stream)
        self._keys = Keys(stream, group)
        self._patience = patience
        # Callers beyond the connections wait for their turn.
        self._turns = asyncio.Semaphore(MAX_CONNECTIONS - 1)
        self._announcements = Announcements(self._client, self._keys.results)

    async def __aenter__(self) -> Queue:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        await self._announcements.close()
        await self._client.aclose()

    async def send(
        self,
        payload: Any,
        *,
        id: str | None = None,
        delay: float = 0.0,
        remembered: float = REMEMBERED,
        replicated: bool = False,
        replicas: int = 1,
    ) -> Sent:
        """Add one task: a dict, bytes, a dataclass or a pydantic model. Raises PayloadError for what cannot be sent.

        With an `id` of your own a second send within `remembered` seconds adds nothing. `delay` is seconds.
        `replicated` waits until `replicas` replicas have the task, and says whether they do.
        """
        if replicas < 1:  # which is true of any task
            raise ValueError(f"send(replicas={replicas}): how many replicas must have the task is at least 1")
        with sending(self._stream.stream, 1) as trace:
            task = _task(payload, id, delay, remembered, trace)
            if replicated:
                done, has_it = await self._patiently(lambda: self._send_replicated(task, replicas))
                return _sent(task, done, has_it)
            (done,) = await self._patiently(lambda: enqueue(self._client, self._stream.stream, [task]))
            return _sent(task, done, None)

    async def send_many(
        self, payloads: Iterable[Any], *, ids: Sequence[str] | None = None, delay: float = 0.0
    ) -> list[Sent]:
        """Add many tasks, in order, a few round trips for all. If it raises, some may have been added: with `ids` of
        your own it can be repeated.
        """
        listed = list(payloads)
        if ids is not None and len(ids) != len(listed):
            raise ValueError(f"send_many: {len(listed)} payloads, but {len(ids)} ids")
        with sending(self._stream.stream, len(listed)) as trace:
            tasks = [_task(each, ids[i] if ids else None, delay, REMEMBERED, trace) for i, each in enumerate(listed)]
            sent: list[Sent] = []
            for step in _steps(tasks):
                done = await self._patiently(lambda step=step: enqueue(self._client, self._stream.stream, step))
                sent += [_sent(task, one, None) for task, one in zip(step, done, strict=True)]
            return sent

    async def result(self, id: str) -> Result:
        """Where the task is now.

        Without `results.ttl` on the queue, no more than waiting, pending and unknown. An id that is none of an entry
        is known for `remembered` seconds.
        """
        found: Result = await self._patiently(lambda: look_up(self._client, self._keys, id))
        return found

    async def wait(self, id: str, timeout: float | None = None) -> Result:  # noqa: ASYNC109
        """Until the task is done or dead. Raises TimeoutError after `timeout` seconds."""
        with self._announcements.of(self._keys.results + id) as is_over:
            async with asyncio.timeout(timeout):
                while not (result := await self.result(id)).is_over:
                    with suppress(TimeoutError):
                        async with asyncio.timeout(LOOK):  # see Relaying
                            await is_over.wait()
                    is_over.clear()  # it may go on for all that: a dead letter that was put back
                return result

    async def _send_replicated(self, task: NewTask, replicas: int) -> tuple[Enqueued, bool]:
        # WAIT speaks of its own connection's writes.
        node = await node_of(self._client, self._stream.stream)
        connection: Redis = node.client()
        try:
            (done,) = await enqueue(connection, self._stream.stream, [task])
            reached = await execute(connection, "WAIT", replicas, block_for(connection, self._patience / 2))
            return done, reached >= replicas
        finally:
            await connection.aclose()

    async def _patiently(self, call: Any) -> Any:
        deadline, pause = time.monotonic() + self._patience, 0.05
        while True:
            try:
                async with self._turns:
                    return await call()
            except RedisProblem as problem:
                if problem.kind not in _PASSING or time.monotonic() + pause > deadline:
                    raise
            await asyncio.sleep(pause)
            pause = min(1.0, 2 * pause)


def new_id() -> str:
    """A UUID of version 7: its order is that of time."""
    value = int(time.time() * 1000) << 80 | int.from_bytes(os.urandom(10), "big")
    value = value & ~(0xF << 76) | 7 << 76
    value = value & ~(0b11 << 62) | 0b10 << 62
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def _task(payload: Any, task_id: str | None, delay: float, remembered: float, trace: Fields) -> NewTask:
    if task_id is not None and not isinstance(task_id, str):
        raise ValueError(f"send(id={task_id!r}): an id is text")
    if task_id == "":
        raise ValueError("send(id=''): an id is at least one character")
    if not (0 <= delay <= LONGEST and 0.001 <= remembered <= LONGEST):
        raise ValueError(f"send: delay is from 0 to {LONGEST:.0f} seconds, remembered from a millisecond to as many")
    return NewTask(task_id or new_id(), [*encode(payload), *trace], delay, remembered)


def _steps(tasks: Iterable[NewTask]) -> Iterator[list[NewTask]]:
    """In order, as many at a time as a script should add and a slow network carries before the reply is given up."""
    step: list[NewTask] = []
    size = 0
    for task in tasks:
        length = sum(len(name) + len(value) for name, value in task.fields)
        if step and (len(step) == STEP or size + length > BYTES):
            yield step
            step, size = [], 0
        step.append(task)
        size += length
    if step:
        yield step


def _sent(task: NewTask, done: Enqueued, replicated: bool | None) -> Sent:
    return Sent(task.id, done.entry, done.repeated, replicated)

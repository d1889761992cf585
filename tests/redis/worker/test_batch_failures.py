"""Calls of many tasks that fail, whole or in part."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest

from streamqueue import Context, DeadLetter, Retry
from streamqueue.worker import dispatcher
from tests.redis.queue import Queue
from tests.redis.servers.process import RunningServer
from tests.redis.worker.batches import NEXT, Order, Task, names
from tests.redis.worker.pod import PATIENCE, made, until, working
from tests.redis.worker.stores import KEYS

pytestmark = [pytest.mark.usefixtures("short_reads"), pytest.mark.process]


async def test_an_exception_in_the_list_is_one_tasks_failure(queue: Queue, shared_server: RunningServer) -> None:
    seen: list[list[str]] = []

    async def handle(tasks: list[Task], contexts: list[Context]) -> list[Any]:
        seen.append(names(tasks))
        if contexts[0].attempt > 1:
            return [None] * len(tasks)
        return [None, Retry("not now", after=0.1), DeadLetter("never"), LookupError("lost"), "fine"]

    await queue.add(5)
    async with working(shared_server.url, handle, batch=True, concurrency=5, backoff_initial=0.4) as worker:
        await until(lambda: worker.counters.acked == 4, "all but the dead letter")
    assert seen == [["0", "1", "2", "3", "4"], ["1"], ["3"]]
    assert (worker.counters.parked, worker.counters.dead) == (2, 1)
    (letter,) = await queue.dead()
    assert (letter["task"], letter["sq-reason"], letter["sq-cause"]) == ("2", "handler", "never")


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (LookupError("no model"), "LookupError: no model"),
        (SystemExit(3), "SystemExit: 3"),
        (BaseException("past all handlers"), "BaseException: past all handlers"),
        (Retry("busy"), "busy"),
    ],
)
@pytest.mark.parametrize("kind", ["async", "plain"])
async def test_a_call_that_raises_fails_each_as_if_it_were_alone(
    queue: Queue,
    shared_server: RunningServer,
    caplog: pytest.LogCaptureFixture,
    error: BaseException,
    cause: str,
    kind: str,
) -> None:
    attempts: list[list[int]] = []

    def plain(tasks: list[Task], contexts: list[Context]) -> None:
        attempts.append([ctx.attempt for ctx in contexts])
        raise error

    async def in_loop(tasks: list[Task], contexts: list[Context]) -> None:
        plain(tasks, contexts)

    await queue.add(3)
    function = plain if kind == "plain" else in_loop
    async with working(shared_server.url, function, batch=True, concurrency=3, max_deliveries=2) as worker:
        await until(lambda: worker.counters.dead == 3, "their dead letters")
    assert worker.counters.parked == 3
    assert sorted(attempt for call in attempts for attempt in call) == [1, 1, 1, 2, 2, 2]
    assert {letter["sq-cause"] for letter in await queue.dead()} == {cause}
    assert caplog.text.count("Traceback") == (0 if isinstance(error, Retry) else len(attempts)), "once for each call"


async def test_a_call_that_says_dead_letter_sets_all_aside(queue: Queue, shared_server: RunningServer) -> None:
    async def handle(tasks: list[Task]) -> None:
        raise DeadLetter("never")

    await queue.add(3)
    async with working(shared_server.url, handle, batch=True, concurrency=3) as worker:
        await until(lambda: worker.counters.dead == 3, "their dead letters")
    assert worker.counters.parked == 0


class Unreadable(Exception):
    def __str__(self) -> str:
        raise LookupError("no words")


@pytest.mark.parametrize("raised", [True, False])
async def test_an_error_that_cannot_say_what_it_is_fails_its_task(
    queue: Queue, shared_server: RunningServer, raised: bool
) -> None:
    async def handle(tasks: list[Task]) -> list[Any]:
        if raised:
            raise Unreadable
        return [Unreadable()] * len(tasks)

    await queue.add(2)
    async with working(shared_server.url, handle, batch=True, concurrency=2, max_deliveries=1) as worker:
        await until(lambda: worker.counters.dead == 2, "their dead letters")
    assert {letter["sq-cause"] for letter in await queue.dead()} == {
        "RuntimeError: Unreadable, whose text raises LookupError"
    }


@pytest.mark.parametrize(
    ("returned", "cause"),
    [
        ([1], "the handler returned a list of 1 for a batch of 3: return None, or a list with one item per task"),
        ({"a": 1}, "the handler returned dict for a batch of 3: return None, or a list with one item per task"),
    ],
)
async def test_results_that_fit_no_task_are_a_failure_that_says_so(
    queue: Queue, shared_server: RunningServer, returned: Any, cause: str
) -> None:
    async def handle(tasks: list[Task]) -> Any:
        return returned

    await queue.add(3)
    async with working(shared_server.url, handle, batch=True, concurrency=3, max_deliveries=1) as worker:
        await until(lambda: worker.counters.dead == 3, "their dead letters")
    assert [letter["sq-cause"] for letter in await queue.dead()] == [cause] * 3


async def test_a_payload_that_does_not_fit_fails_alone(queue: Queue, shared_server: RunningServer) -> None:
    seen: list[list[int]] = []

    async def handle(tasks: list[Order]) -> list[Any]:
        seen.append([task.task for task in tasks])
        return [{"n": task.task} for task in tasks]

    for value in ("0", "many", "2"):
        await queue.redis.xadd(queue.stream, {"task": value})
    async with working(shared_server.url, handle, batch=True, concurrency=3, next_stream=NEXT) as worker:
        await until(lambda: worker.counters.acked == 2 and worker.counters.dead == 1, "all three")
    assert seen == [[0, 2]]
    assert [fields[b"n"] for _, fields in await queue.redis.xrange(NEXT)] == [b"0", b"2"], "results of other tasks"
    (letter,) = await queue.dead()
    assert (letter["task"], letter["sq-reason"]) == ("many", "payload")


async def test_a_batch_of_nothing_that_fits_calls_nobody(queue: Queue, shared_server: RunningServer) -> None:
    calls: list[int] = []

    async def handle(tasks: list[Order]) -> None:
        calls.append(len(tasks))

    await queue.redis.xadd(queue.stream, {"task": "many"})
    async with working(shared_server.url, handle, batch=True, concurrency=3) as worker:
        await until(lambda: worker.counters.dead == 1, "the dead letter")
        await queue.add(1)
        await until(lambda: worker.counters.acked == 1, "the next")
    assert calls == [1]


@pytest.mark.parametrize("kind", ["async", "plain"])
async def test_a_call_past_its_timeout_is_retried(queue: Queue, shared_server: RunningServer, kind: str) -> None:
    told: list[bool] = []

    def plain(tasks: list[Task], contexts: list[Context]) -> None:
        while contexts[0].attempt == 1:
            if contexts[0].cancelled:
                told.append(contexts[-1].cancelled)
                time.sleep(0.3)  # till it has cleaned up
                return

    async def in_loop(tasks: list[Task], contexts: list[Context]) -> None:
        if contexts[0].attempt == 1:
            try:
                await asyncio.sleep(15)
            finally:
                told.append(contexts[-1].cancelled)

    await queue.add(2)
    function = plain if kind == "plain" else in_loop
    settings = {"timeout": 0.5, "concurrency": 2, "results_ttl": 60.0, "backoff_initial": 0.5}
    async with working(shared_server.url, function, batch=True, **settings) as worker:
        await until(lambda: worker.counters.parked == 2, "the time-outs")
        ids = [entry for entry, _ in await queue.entries()]
        assert await queue.redis.hget(KEYS.results + ids[0], "error") == b"timeout after 0.5 s"
        await until(lambda: told, "the end of the call")
        await until(lambda: worker.counters.acked == 2, "the second attempt")
    assert told == [True]


async def test_a_thread_that_never_returns_ends_the_worker(
    queue: Queue, shared_server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatcher, "PATIENCE", 0.5)
    release = threading.Event()

    def handle(tasks: list[Task]) -> None:
        release.wait(15)

    await queue.add(2)
    worker = made(shared_server.url, handle, batch=True, timeout=0.1, concurrency=4)
    with pytest.raises(RuntimeError, match="every slot is held"):
        await asyncio.wait_for(worker.serve(), PATIENCE)
    assert worker.counters.parked == 2
    release.set()

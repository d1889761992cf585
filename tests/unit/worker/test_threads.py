"""Calls in threads: what they return arrives, and one that was given up holds its slot until it returns."""

from __future__ import annotations

import asyncio
import threading
import time
from contextlib import suppress

import pytest

from streamqueue.worker.errors import Retry
from streamqueue.worker.executors.threads import Threads


async def given_up(threads: Threads, returns: threading.Event) -> None:
    """A call that began and is not awaited any more."""
    began = threading.Event()

    def call() -> bool:
        began.set()
        return returns.wait(5)

    calling = asyncio.create_task(threads.call(call))
    await asyncio.to_thread(began.wait, 5)
    calling.cancel()
    with suppress(asyncio.CancelledError):
        await calling


async def test_a_call_that_was_given_up_is_overdue_until_it_returns() -> None:
    threads, returns = Threads(), threading.Event()
    await given_up(threads, returns)
    await given_up(threads, returns)
    assert threads.overdue == 2
    returns.set()
    async with asyncio.timeout(5):
        while threads.overdue:  # noqa: ASYNC110 - threads end it
            await asyncio.sleep(0.01)
    assert await threads.call(threading.active_count) == threading.active_count(), "their threads are idle"


async def test_what_had_returned_when_the_time_was_up_arrives() -> None:
    """As after a while in which the loop stood still: the return and the end of the time are seen together."""
    threads, returns = Threads(), threading.Event()
    calling = asyncio.create_task(threads.call(returns.wait, 5))
    await asyncio.sleep(0)
    returns.set()
    while not threads._returned:
        time.sleep(0.001)  # noqa: ASYNC251 - that is the point
    asyncio.get_running_loop().call_soon(calling.cancel)
    assert await calling
    assert threads.overdue == 0


async def test_a_task_pays_nothing_where_no_thread_can_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    """A limit of the pod's, which its handler may have reached: the next tasks would all be dead letters soon."""

    def refused(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    threads = Threads()
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refused)
        with pytest.raises(Retry, match="no thread") as caught:
            await threads.call(lambda: 1)
    assert not caught.value.counted
    assert await threads.call(lambda: 1) == 1


async def test_what_many_threads_return_at_once_arrives() -> None:
    threads = Threads()
    for _ in range(20):
        gate = threading.Barrier(50)
        calls = [threads.call(lambda n=n, gate=gate: (gate.wait(5), n)[1]) for n in range(50)]
        async with asyncio.timeout(10):
            assert await asyncio.gather(*calls) == list(range(50))

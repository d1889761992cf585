"""Handlers share tasks of asyncio, and notice nothing of it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from contextvars import ContextVar
from typing import Any

import pytest

from streamqueue.streams.taken import Taken
from streamqueue.worker.executors.slots import Slots
from streamqueue.worker.runs import Run

VARIABLE: ContextVar[str] = ContextVar("VARIABLE", default="clean")


def runs(count: int) -> list[Run]:
    return [Run(Taken(f"{n + 1}-0", "token", {}, 0, 0), 0.0, lambda: None) for n in range(count)]


async def ran(
    execute: Callable[[Run], Awaitable[None]], begun: list[Run], limit: float = 60.0, apart: float = 0.0
) -> None:
    """Begins each, and waits until all that `execute` does is done."""
    left = len(begun)
    over = asyncio.Event()

    async def counted(run: Run) -> None:
        nonlocal left
        try:
            await execute(run)
        finally:
            left -= 1
            if not left:
                over.set()

    slots = Slots(counted, limit)
    for run in begun:
        slots.begin(run)
        if apart:
            await asyncio.sleep(apart)
    await asyncio.wait_for(over.wait(), 5)
    slots.close()


async def test_runs_that_wait_wait_together() -> None:
    gate = asyncio.Barrier(50)
    seen: list[str] = []

    async def execute(run: Run) -> None:
        await gate.wait()
        seen.append(run.id)

    await ran(execute, runs(50))
    assert len(seen) == 50


async def test_runs_that_wait_for_nothing_begin_in_order_and_share_a_task() -> None:
    seen: list[str] = []
    tasks: set[object] = set()

    async def execute(run: Run) -> None:
        seen.append(run.id)
        tasks.add(asyncio.current_task())

    begun = runs(50)
    await ran(execute, begun)
    assert seen == [run.id for run in begun] and len(tasks) == 1


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with Python 3.12")
async def test_where_tasks_are_eager_runs_are_begun_all_the_same() -> None:
    """By a program that serves in a loop of its own."""
    factory: Any = getattr(asyncio, "eager_task_factory", None)
    asyncio.get_running_loop().set_task_factory(factory)
    gate = asyncio.Barrier(2000)

    async def execute(run: Run) -> None:
        await gate.wait()

    await ran(execute, runs(2000))


async def test_what_a_handler_leaves_in_its_context_reaches_no_other() -> None:
    seen = []

    async def execute(run: Run) -> None:
        seen.append(VARIABLE.get())
        VARIABLE.set(run.id)

    await ran(execute, runs(20))
    assert seen == ["clean"] * 20


async def test_a_handler_that_cancels_its_own_task_stops_no_other() -> None:
    cancelled = []

    async def execute(run: Run) -> None:
        try:
            if run.id == "1-0":
                task = asyncio.current_task()
                assert task
                task.cancel()  # it shows at the next await, which this handler never comes to
                return
            await asyncio.sleep(0.01)
        except asyncio.CancelledError:
            cancelled.append(run.id)

    await ran(execute, runs(20))
    assert cancelled == []


@pytest.mark.parametrize("begins", ["before", "at once", "later"])
async def test_a_cancellation_that_comes_when_its_handler_is_long_done_stops_nobody(begins: str) -> None:
    """As by a watchdog that it left behind: the task rests, or is about to begin another run."""
    seen: asyncio.Queue[str] = asyncio.Queue()

    async def execute(run: Run) -> None:
        seen.put_nowait(run.id)

    def cancel() -> None:
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    async def ran(run: Run) -> None:
        assert await asyncio.wait_for(seen.get(), 5) == run.id
        for _ in range(3):  # until its task rests
            await asyncio.sleep(0)

    slots = Slots(execute, 60.0)
    first, *others = runs(3)
    slots.begin(first)
    await ran(first)
    for run in others:
        if begins == "before":
            slots.begin(run)
        cancel()
        if begins == "later":
            await asyncio.sleep(0)
        if begins != "before":
            slots.begin(run)
        await ran(run)
    cancel()
    slots.close()


async def test_each_run_has_its_time_and_no_more() -> None:
    late = []

    async def execute(run: Run) -> None:
        try:
            await asyncio.sleep(0.02 if run.id.startswith("1") else 30)
        except asyncio.CancelledError:
            late.append((run.id, run.is_late))

    begun = runs(9)
    started = asyncio.get_running_loop().time()
    await ran(execute, begun, limit=0.15, apart=0.01)
    assert 0.15 <= asyncio.get_running_loop().time() - started < 2
    assert late == [(run.id, True) for run in begun if not run.id.startswith("1")]
    assert all(run.ctx.cancelled for run in begun if not run.id.startswith("1"))


async def test_a_run_that_was_lost_before_it_began_never_begins() -> None:
    seen = []

    async def execute(run: Run) -> None:
        seen.append(run.id)

    begun = runs(3)
    begun[1].is_over = True
    slots = Slots(execute, 60.0)
    for run in begun:
        slots.begin(run)
    while len(seen) < 2:  # noqa: ASYNC110
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    slots.close()
    assert seen == ["1-0", "3-0"]


async def test_an_error_that_leaves_a_run_is_told() -> None:
    async def execute(run: Run) -> None:
        raise LookupError(run.id)

    slots = Slots(execute, 60.0)
    slots.begin(*runs(1))
    with pytest.raises(LookupError, match="1-0"):
        await asyncio.wait_for(slots.failed, 5)
    slots.close()


async def test_an_error_in_giving_a_run_up_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamqueue.worker.executors.slots.PATIENCE", 0.01)
    over = asyncio.Event()

    async def execute(run: Run) -> None:
        while not over.is_set():
            with suppress(asyncio.CancelledError):
                await over.wait()

    def give_up(run: Run) -> None:
        raise LookupError(run.id)

    slots = Slots(execute, 0.01, give_up)
    slots.begin(*runs(1))
    try:
        with pytest.raises(LookupError, match="1-0"):
            await asyncio.wait_for(slots.failed, 5)
        assert slots.overdue == 1
    finally:
        over.set()
        slots.close()


@pytest.mark.filterwarnings("error")
async def test_nothing_is_left_behind() -> None:
    async def execute(run: Run) -> None:
        await asyncio.sleep(0)

    before = asyncio.all_tasks()
    await ran(execute, runs(5))
    for _ in range(3):
        await asyncio.sleep(0)
    assert asyncio.all_tasks() == before

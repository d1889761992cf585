"""Batches: what comes of what a handler returned, and which runs share a call."""

from __future__ import annotations

import asyncio
import dataclasses
import re
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from streamqueue import Retry, Worker
from streamqueue.streams.taken import NewEntries, Taken
from streamqueue.worker.batch.batches import Batch, Batches
from streamqueue.worker.batch.handler import BatchHandler
from streamqueue.worker.batch.results import results_of
from streamqueue.worker.errors import WrongResults
from streamqueue.worker.executors.threads import Threads
from streamqueue.worker.handler import Undecodable
from streamqueue.worker.payload.decoding import item_decoder_of
from streamqueue.worker.runs import Run


@dataclasses.dataclass
class Order:
    sku: str


def runs(count: int) -> list[Run]:
    return [Run(Taken(f"{n + 1}-0", "token", {}, 0, 0), 0.0, lambda: None) for n in range(count)]


def test_none_is_a_result_for_each_and_a_list_is_one_by_one() -> None:
    error = Retry("later")
    assert results_of(None, 3) == [None, None, None]
    assert results_of([1, None, error, [4, 5]], 4) == [1, None, error, [4, 5]]


def test_an_exception_class_fails_its_task_like_an_instance() -> None:
    class Picky(Exception):
        def __init__(self, must: str) -> None:
            super().__init__(must)

    retry, picky, kind = results_of([Retry, Picky, dict], 3)
    assert isinstance(retry, Retry) and isinstance(picky, TypeError) and kind is dict


@pytest.mark.parametrize(
    ("returned", "words"),
    [
        ([], "a list of 0 for a batch of 2"),
        ([1, 2, 3], "a list of 3 for a batch of 2"),
        ((1, 2), "tuple for a batch of 2"),
        ({"a": 1}, "dict for a batch of 2"),
        ("ab", "str for a batch of 2"),
        (True, r"bool \(True\) for a batch of 2"),
    ],
)
def test_what_is_no_item_per_task_is_named(returned: Any, words: str) -> None:
    with pytest.raises(WrongResults, match=f"{words}: return None, or a list with one item per task"):
        results_of(returned, 2)


def unannotated(tasks):  # type: ignore[no-untyped-def]
    ...


def of_list(tasks: list) -> None: ...  # type: ignore[type-arg]
def of_texts(tasks: list[dict[str, str]]) -> None: ...
def of_raw(tasks: Sequence[dict[str, bytes]]) -> None: ...
def of_bytes(tasks: list[bytes]) -> None: ...
def of_orders(tasks: list[Order]) -> None: ...


@pytest.mark.parametrize(
    ("function", "item"),
    [
        (unannotated, {"sku": "x"}),
        (of_list, {"sku": "x"}),
        (of_texts, {"sku": "x"}),
        (of_raw, {"sku": b"x"}),
        (of_bytes, b"x"),
        (of_orders, Order("x")),
    ],
)
def test_the_annotation_of_the_list_says_what_each_task_is(function: Callable[..., None], item: Any) -> None:
    assert item_decoder_of(function)({b"sku": b"x", b"sq-id": b"7"}) == item
    new = NewEntries(b"1-0", [[b"sku", b"x", b"sq-id", b"7"]], "t")
    assert BatchHandler(function, 1).tasks_of_new(new) == [item], "taken together, they are decoded together"


@pytest.mark.parametrize(
    "row",
    [
        [b"sku", b"x"],
        [b"sq-id", b"7"],
        [b"sq-id", b"7", "Größe".encode(), "Ø".encode()],
        [b"a", b"1", b"a", b"2"],
        [b"sq-trace", b"\xff", b"a", b"1"],
        [b"a", b"1", b"b", b"\xff"],
    ],
)
def test_texts_decoded_together_are_those_of_each(row: list[bytes]) -> None:
    handler = BatchHandler(of_texts, 1)
    new = NewEntries(b"1-0 2-0", [[b"sku", b"y"], row], "t")
    try:
        each = handler.tasks_of(new.fields())
    except Undecodable as exc:
        with pytest.raises(Undecodable, match=re.escape(str(exc))):
            handler.tasks_of_new(new)
    else:
        assert handler.tasks_of_new(new) == each


def of_one(tasks: Order) -> None: ...
def of_set(tasks: set[Order]) -> None: ...
def of_numbers(tasks: list[int]) -> None: ...
def of_nothing() -> None: ...


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (of_one, r"of_one\(\) takes a batch: annotate its first parameter as a list"),
        (of_set, r"of_set\(\) takes a batch"),
        (of_numbers, "a task can be"),
        (of_nothing, r"write def of_nothing\(tasks, contexts\)"),
    ],
)
def test_what_cannot_be_a_batch_handler_is_said_at_import(function: Callable[..., None], words: str) -> None:
    with pytest.raises(TypeError, match=words):
        Worker().batch(function)


def test_a_worker_has_one_handler_of_either_kind() -> None:
    worker = Worker()
    worker.batch(timeout=5)(of_list)
    with pytest.raises(TypeError, match=r"of_list\(\) is it already"):
        worker.task(of_orders)
    with pytest.raises(ValueError, match="timeout=0 must be greater"):
        Worker().batch(timeout=0)


class Calls:
    """What was executed; each call lasts until `go_on` is set."""

    def __init__(self, timeout: float = 60.0) -> None:
        self.seen: list[list[str]] = []
        self.cancelled: list[bool] = []  # by lateness
        self.go_on = asyncio.Event()
        self.threads = Threads()
        self.free = asyncio.Event()
        self.batches = Batches(self._execute, timeout, self.threads, 10, self.free.set)

    async def _execute(self, batch: Batch) -> None:
        self.seen.append([run.id for run in batch.runs])
        try:
            await self.go_on.wait()
        except asyncio.CancelledError:
            self.cancelled.append(batch.is_late)

    async def until(self, condition: Callable[[], Any]) -> None:
        async with asyncio.timeout(5):
            while not condition():  # noqa: ASYNC110
                await asyncio.sleep(0)


async def test_what_begins_in_one_turn_is_one_call_and_no_other_starts_beside_it() -> None:
    calls = Calls()
    one, two, three = runs(3)
    calls.batches.begin([one])
    calls.batches.begin([two])
    assert calls.batches.blocked == 0, "more may be taken for the same call"
    calls.batches.start()
    assert calls.batches.blocked == 10, "nothing that could not start at once"
    calls.batches.begin([three])
    calls.batches.start()
    await calls.until(lambda: calls.seen)
    for _ in range(5):
        await asyncio.sleep(0)
    assert calls.seen == [["1-0", "2-0"]]
    calls.go_on.set()
    await calls.until(lambda: not calls.batches.blocked)
    calls.batches.start()
    await calls.until(lambda: len(calls.seen) == 2)
    assert calls.seen[1] == ["3-0"]
    calls.batches.close()


async def test_a_call_is_cancelled_when_the_last_of_its_runs_is_lost() -> None:
    calls = Calls()
    begun = runs(2)
    calls.batches.begin(begun)
    calls.batches.start()
    await calls.until(lambda: calls.seen)
    begun[0].is_over = True
    calls.batches.cancel(begun[0])
    for _ in range(5):
        await asyncio.sleep(0)
    assert not calls.cancelled and begun[0].ctx.cancelled and not begun[1].ctx.cancelled
    begun[1].is_over = True
    calls.batches.cancel(begun[1])
    await asyncio.wait_for(calls.free.wait(), 5)
    assert calls.cancelled == [False] and calls.batches.blocked == 0
    calls.batches.close()


async def test_a_call_that_was_lost_before_it_began_never_begins_and_blocks_no_other() -> None:
    calls = Calls()
    (run,) = runs(1)
    calls.batches.begin([run])
    calls.batches.start()
    run.is_over = True
    calls.batches.cancel(run)
    assert calls.batches.blocked == 0
    for _ in range(5):
        await asyncio.sleep(0)
    assert calls.seen == []
    calls.batches.close()


async def test_a_call_past_its_time_is_cancelled_as_late_with_all_its_contexts() -> None:
    calls = Calls(timeout=0.05)
    begun = runs(3)
    calls.batches.begin(begun)
    calls.batches.start()
    await calls.until(lambda: calls.cancelled)
    assert calls.cancelled == [True] and all(run.ctx.cancelled for run in begun)
    calls.batches.close()


async def test_a_thread_that_does_not_return_blocks_all_slots() -> None:
    calls = Calls()
    calls.threads.overdue = 1
    assert calls.batches.blocked == 10 and calls.batches.is_stuck


async def test_a_call_whose_tasks_were_all_lost_before_it_began_holds_up_no_other() -> None:
    called: list[Batch] = []

    async def execute(batch: Batch) -> None:
        called.append(batch)

    over = asyncio.Event()
    batches = Batches(execute, 10.0, Threads(), 8, over.set)
    (lost,) = gone = runs(1)
    batches.begin(gone)
    lost.is_over = True
    batches.cancel(lost)
    batches.start()
    assert batches.blocked == 0
    batches.begin(next_ones := runs(2))
    batches.start()
    await asyncio.wait_for(over.wait(), 5)
    assert [batch.runs for batch in called] == [next_ones]

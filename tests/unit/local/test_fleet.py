"""Processes as pods: real ones, of a shell."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from streamqueue.local import fleet as module
from streamqueue.local.fleet import Fleet
from streamqueue.scaling import PodState

STUBBORN = "trap 'echo stays' TERM; echo ready; while :; do sleep 0.1; done"
LOOP = "echo ready; while :; do sleep 0.1; done"


class Said:
    """What the workers of a fleet wrote."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []
        self._news = asyncio.Event()

    def __call__(self, name: str, text: str) -> None:
        self.lines.append((name, text))
        self._news.set()

    async def until(self, pattern: str, count: int = 1) -> list[str]:
        """Wait for so many lines that fit; who wrote them."""
        async with asyncio.timeout(30):
            while len(found := [name for name, text in self.lines if re.fullmatch(pattern, text)]) < count:
                self._news.clear()
                await self._news.wait()
        return found


@pytest.fixture
def said() -> Said:
    return Said()


@pytest.fixture
async def fleet(said: Said) -> AsyncIterator[Fleet]:
    """Without a process; `command` is the test's."""
    fleet = Fleet("orders", ["sh", "-c", LOOP], {}, 60.0, said)
    yield fleet
    fleet.kill()
    await fleet.stop()


async def test_who_outlasts_the_grace_is_killed(fleet: Fleet, said: Said) -> None:
    fleet.command, fleet.grace = ["sh", "-c", STUBBORN], 0.2
    await fleet.resize(1, ())
    await said.until("ready")
    await fleet.stop()
    assert [ended.code for ended in fleet.ended] == [-signal.SIGKILL]
    assert not fleet.workers


async def test_who_was_told_to_go_and_outlasts_the_grace_is_killed_by_a_later_look(fleet: Fleet, said: Said) -> None:
    fleet.command = ["sh", "-c", STUBBORN]
    await fleet.resize(1, ())
    await said.until("ready")
    await fleet.resize(0, ())
    await said.until("stays")
    await fleet.resize(0, ())
    assert [view.state for view in fleet.views({}, ())] == [PodState.TERMINATING]
    (worker,) = fleet.workers.values()
    worker.process.terminate()
    await said.until("stays", 2)
    await fleet.resize(1, ())
    assert len(fleet.workers) == 2, "another one doesn't wait for it"
    fleet.grace = 0.0
    await fleet.resize(0, ())
    assert await asyncio.wait_for(worker.process.wait(), 30) == -signal.SIGKILL


async def test_the_unready_go_first_then_the_marked_then_the_youngest(fleet: Fleet) -> None:
    await fleet.resize(4, ())
    oldest, marked, youngest, unready = fleet.workers
    fleet.note_readers([oldest, f"{marked}.1f2e3d4c", youngest])
    gone: list[str] = []
    for left in (3, 2, 1, 0):
        await fleet.resize(left, [marked])
        views = fleet.views({}, ())
        assert [view.name for view in views if view.marked] == [marked] * (marked in fleet.workers)
        gone += [view.name for view in views if view.state is PodState.TERMINATING and view.name not in gone]
        gone += [ended.name for ended in fleet.ended if ended.name not in gone]
    assert gone == [unready, marked, youngest, oldest]


async def test_what_the_law_sees_of_a_process(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    began = time.monotonic()
    await fleet.resize(2, ())
    reads, silent = fleet.workers
    fleet.note_readers([reads, "somebody-else"])
    first, second = fleet.views({reads: 2}, {silent})
    assert (first.name, first.state, first.pending, first.cordoned) == (reads, PodState.READY, 2, False)
    assert (second.name, second.state, second.pending, second.cordoned) == (silent, PodState.STARTING, None, True)
    assert first.ready_at and began <= first.created <= first.ready_at <= time.monotonic()
    assert (first.marked_since, second.ready_at) == (None, None)
    await fleet.resize(2, [reads])
    first, second = fleet.views({}, ())
    assert first.marked and first.marked_since and first.marked_since >= began and not second.marked
    await fleet.resize(2, [reads])
    assert fleet.views({}, ())[0].marked_since == first.marked_since, "since the first time"
    await fleet.resize(2, ())
    assert not fleet.views({}, ())[0].marked
    monkeypatch.setattr(module, "LONGEST_START", 0.0)
    fleet.note_readers([])
    assert fleet.views({}, ())[1].state is PodState.READY, "it reads, as far as anybody can tell"


async def test_a_line_that_is_too_long_is_left_out_and_bytes_are_escaped(fleet: Fleet, said: Said) -> None:
    fleet.command = ["sh", "-c", r"head -c 3000000 /dev/zero | tr '\0' x; echo; printf 'a\377\n' >&2; exec sleep 60"]
    await fleet.resize(1, ())
    await said.until(r"a\\xff")
    assert len(said.lines) <= 2 and max(len(text) for _, text in said.lines) < 1 << 20


async def test_what_a_process_leaves_behind_ends_with_it(fleet: Fleet, said: Said, tmp_path: Path) -> None:
    fleet.command = ["sh", "-c", f"sleep 600 & echo $! > {tmp_path}/left; exit 3"]
    await fleet.resize(1, ())
    (name,) = await said.until("ended with exit code 3; the next one starts in 1 s")
    assert [(ended.name, ended.code) for ended in fleet.ended] == [(name, 3)]
    left = int((tmp_path / "left").read_text())

    def runs() -> bool:
        try:
            return ") Z " not in Path(f"/proc/{left}/stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return False

    async with asyncio.timeout(30):
        while runs():  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.01)


async def test_a_process_that_worked_for_long_is_replaced_at_once(
    fleet: Fleet, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fleet.resize(1, ())
    await said.until("ready")
    monkeypatch.setattr(module, "SOON", 0.0)
    fleet.kill()
    await said.until("ended by signal 9")
    await fleet.resize(1, ())
    assert len(fleet.workers) == 1
    monkeypatch.setattr(module, "SOON", 60.0)
    await said.until("ready", 2)
    fleet.kill()
    await said.until("ended by signal 9; the next one starts in 1 s")
    await fleet.resize(1, ())
    assert not fleet.workers


async def test_the_pauses_grow_to_half_a_minute_and_begin_anew_after_one_that_worked_for_long(
    fleet: Fleet, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet.command = ["sh", "-c", "exit 3"]

    async def ends(count: int) -> None:
        fleet._wait_until = 0.0
        await fleet.resize(1, ())
        await said.until("ended with exit code 3.*", count)

    for count in range(1, 8):
        await ends(count)
    with monkeypatch.context() as patched:
        patched.setattr(module, "SOON", 0.0)
        await ends(8)
    await ends(9)
    told = [text.partition("; the next one starts in ")[2] for _, text in said.lines]
    assert told == ["1 s", "2 s", "4 s", "8 s", "16 s", "30 s", "30 s", "", "1 s"]


async def test_a_worker_goes_on_where_nobody_reads_what_it_writes(fleet: Fleet) -> None:
    ended = asyncio.Event()

    def say(name: str, text: str) -> None:
        if text.startswith("ended"):
            ended.set()
        raise BrokenPipeError

    fleet.say, fleet.command = say, ["sh", "-c", "for i in 1 2 3; do seq 20000; done; exit 3"]
    await fleet.resize(1, ())
    await asyncio.wait_for(ended.wait(), 30)
    assert [each.code for each in fleet.ended] == [3] and not fleet.workers


async def test_nothing_is_said_of_who_was_told_to_go(fleet: Fleet, said: Said) -> None:
    await fleet.resize(1, ())
    await said.until("ready")
    await fleet.stop()
    await fleet.resize(1, ())
    assert [text for _, text in said.lines] == ["ready"] and len(fleet.workers) == 1, "nor waited for"


async def test_a_worker_finds_its_name_and_what_it_is_given_and_nothing_of_another_queue(
    fleet: Fleet, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STREAMQUEUE_GROUP", "another")
    monkeypatch.setenv("MINE", "1")
    fleet.environment = {"STREAMQUEUE_STREAM": "orders"}
    fleet.command = ["sh", "-c", 'echo "$STREAMQUEUE_CONSUMER $STREAMQUEUE_STREAM $STREAMQUEUE_GROUP $MINE"; sleep 60']
    await fleet.resize(1, ())
    (name,) = fleet.workers
    assert await said.until(f"{name} orders  1") == [name]
    assert os.environ["STREAMQUEUE_GROUP"] == "another"

"""Several processes on one queue."""

from __future__ import annotations

import asyncio
import math
import os
import re
import signal
import time
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest

from streamqueue.api.spec import Handler, Protocol
from streamqueue.maintenance import release
from streamqueue.worker.errors import SettingsError
from streamqueue.worker.prefork import shares
from streamqueue.worker.settings import Settings
from tests.redis.proxy import Proxy
from tests.redis.queue import Queue, spec
from tests.redis.servers.process import RunningServer, free_port
from tests.redis.worker.pod import until
from tests.redis.worker.program import running, said
from tests.redis.worker.stores import KEYS, PARKED, owners
from tests.redis.worker.test_metrics import scrape

pytestmark = pytest.mark.process

PROGRAM = """
import os, time
from streamqueue import Worker
worker = Worker()
@worker.task
def handle(task, ctx):
    os.write(1, f"{task['how']} {ctx.attempt} {os.getpid()}\\n".encode())
    if task["how"] == "dies" and ctx.attempt == 1:
        os.kill(os.getpid(), 9)
    time.sleep(float(task.get("seconds", 0)))
worker.run()
"""


def fleet(server: RunningServer, **settings: str) -> AbstractAsyncContextManager[asyncio.subprocess.Process]:
    return running(PROGRAM, server, {}, CONCURRENCY="2", PROCESSES="2", **settings)


async def until_two(queue: Queue, parent: asyncio.subprocess.Process, but: str = "") -> set[str]:
    """Until two processes, other than `but`, take tasks: their ids."""
    pids: set[str] = set()
    async with asyncio.timeout(20):
        while len(pids - {but}) < 2:
            await queue.redis.xadd(queue.stream, {"how": "works", "seconds": "0.2"})
            [(*_, pid)] = await said(parent, 1)
            pids.add(pid)
    return pids - {but}


async def test_two_tasks_run_in_two_processes_and_end_on_sigterm(queue: Queue, shared_server: RunningServer) -> None:
    for _ in range(3):
        await queue.redis.xadd(queue.stream, {"how": "works", "seconds": "1.0"})
    async with fleet(shared_server) as parent:
        first, second = await said(parent, 2)
        assert first[2] != second[2] and str(parent.pid) not in (first[2], second[2])
        parent.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(parent.wait(), 20) == 0
    snapshot = await queue.snapshot()
    assert (snapshot.pending, snapshot.parked, snapshot.due, snapshot.undelivered) == (0, 0, 0, 1)
    assert snapshot.consumers == ()


async def test_a_process_that_dies_is_replaced_and_its_task_handed_on_at_once(
    queue: Queue, shared_server: RunningServer
) -> None:
    await queue.redis.xadd(queue.stream, {"how": "dies"})
    started = time.monotonic()
    async with fleet(shared_server, VISIBILITY_TIMEOUT="60") as parent:
        (first,), (second,) = await said(parent, 1), await said(parent, 1)
        assert (first[:2], second[:2]) == (["dies", "1"], ["dies", "2"]) and first[2] != second[2]
        assert time.monotonic() - started < 20, "not the visibility timeout"
        await until_two(queue, parent)
        parent.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(parent.wait(), 20) == 0
    assert await queue.dead() == [] and await owners(queue) == {}


async def test_what_a_process_held_and_had_not_begun_is_not_charged(queue: Queue, shared_server: RunningServer) -> None:
    """Its read was answered as it stood still."""

    async def are_blocked() -> bool:
        return bool((await queue.redis.info("clients"))["blocked_clients"] == 2)

    async with fleet(shared_server, MAX_DELIVERIES="1") as parent:
        pids = [int(pid) for pid in await until_two(queue, parent)]
        await until(are_blocked, "both wait for tasks")
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        await queue.redis.xadd(queue.stream, {"how": "was held"})
        await until(lambda: owners(queue), "an answered read")
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        [(*what, attempt, _)] = await said(parent, 1)
    assert (what, attempt, await queue.dead()) == (["was", "held"], "1", [])


async def test_a_process_that_is_told_to_go_alone_is_replaced(queue: Queue, shared_server: RunningServer) -> None:
    await queue.redis.xadd(queue.stream, {"how": "works"})
    async with fleet(shared_server) as parent:
        [(*_, pid)] = await said(parent, 1)
        os.kill(int(pid), signal.SIGTERM)
        await until_two(queue, parent, but=pid)
        async with queue.redis.pipeline(transaction=True) as pipe:
            for _ in range(3):
                pipe.xadd(queue.stream, {"how": "works", "seconds": "1.0"})
            await pipe.execute()
        await said(parent, 2)
        assert len(await queue.pending()) == 2, "it has the slots of the one before, no more"


async def test_the_task_of_a_process_that_dies_when_all_are_to_stop_is_handed_on_at_once(
    queue: Queue, shared_server: RunningServer
) -> None:
    await queue.redis.xadd(queue.stream, {"how": "works", "seconds": "30"})
    async with fleet(shared_server, VISIBILITY_TIMEOUT="60") as parent:
        [(*_, pid)] = await said(parent, 1)
        parent.send_signal(signal.SIGTERM)
        os.kill(int(pid), signal.SIGKILL)
        assert await asyncio.wait_for(parent.wait(), 20) == 0
    assert list((await owners(queue)).values()) == [PARKED]


async def test_a_process_that_dies_while_redis_is_away_is_replaced(queue: Queue, shared_server: RunningServer) -> None:
    """Its task comes back when the lease expires."""
    await queue.redis.xadd(queue.stream, {"how": "works"})
    async with Proxy(shared_server.port) as proxy, fleet(shared_server, REDIS_URL=proxy.url) as parent:
        [(*_, pid)] = await said(parent, 1)
        children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children")
        proxy.lead_to(free_port())
        os.kill(int(pid), signal.SIGKILL)
        await until(lambda: len(set(children.read_text().split()) - {pid}) == 2, "two processes")
        proxy.lead_to(shared_server.port)
        await until_two(queue, parent, but=pid)


async def test_what_kills_each_process_ends_as_a_dead_letter(queue: Queue, shared_server: RunningServer) -> None:
    task = (await queue.redis.xadd(queue.stream, {"how": "dies"})).decode()
    async with fleet(shared_server, MAX_DELIVERIES="1", RESULTS_TTL="60") as parent:
        await said(parent, 1)
        letters = await until(queue.dead, "the dead letter")
        assert await queue.redis.hget(KEYS.results + task, "state") == b"dead"
        parent.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(parent.wait(), 20) == 0
    assert (letters[0]["sq-reason"], letters[0]["sq-cause"]) == ("max-deliveries", "process ended by SIGKILL")


CONTAINER = """
import os, time
from streamqueue import Worker
os.setsid()
worker = Worker()
@worker.task
def handle(task):
    os.write(1, f"{task['how']}\\n".encode())
    time.sleep(float(task["seconds"]))
    if task["how"] == "ends":
        os.killpg(0, 9)
worker.run()
"""


async def test_what_ends_all_processes_takes_no_other_task_along_again_and_again(
    queue: Queue, shared_server: RunningServer
) -> None:
    """As the kernel ends a container for the memory of one of its processes."""
    poison = (await queue.redis.xadd(queue.stream, {"how": "ends", "seconds": "0.5"})).decode()
    innocent = (await queue.redis.xadd(queue.stream, {"how": "works", "seconds": "1.0"})).decode()
    settings = {"CONCURRENCY": "2", "PROCESSES": "2", "MAX_DELIVERIES": "3", "VISIBILITY_TIMEOUT": "60"}
    sdk = replace(spec(max_deliveries=3), handler=Handler(image="none", protocol=Protocol.SDK))

    async def is_over() -> bool:
        return container.returncode is not None or not await owners(queue)

    while await owners(queue) or not await queue.dead():
        async with running(CONTAINER, shared_server, {}, **settings) as container:
            await said(container, 1)
            await until(is_over, "the container's end, or that of all tasks")
        for consumer in {*(await owners(queue)).values()} - {PARKED}:  # as the operator does
            await release(queue.redis, sdk, consumer, math.inf, "OOMKilled")
    assert {letter["sq-id"] for letter in await queue.dead()} == {poison} != {innocent}


@pytest.mark.on("redis-7.0")  # nothing of it is the server's
async def test_the_metrics_are_those_of_all_processes(queue: Queue, shared_server: RunningServer) -> None:
    port = free_port()

    async def shows(name: str, value: float) -> None:
        async with asyncio.timeout(20):
            while True:
                with suppress(aiohttp.ClientError):  # not up yet
                    if (await scrape(port))[f"streamqueue_worker_{name}", ""] == value:
                        return
                await asyncio.sleep(0.05)

    for _ in range(2):
        await queue.redis.xadd(queue.stream, {"how": "works", "seconds": "1.5"})
    async with fleet(shared_server, METRICS_PORT=str(port)) as parent:
        await said(parent, 2)
        await shows("in_flight", 2)
        await shows("processed_total", 2)
        await queue.redis.xadd(queue.stream, {"how": "dies"})
        await said(parent, 2)
        await shows("processed_total", 3)  # though one of those who had counted is dead
        await shows("in_flight", 0)
        await queue.redis.xadd(queue.stream, {"how": "works", "seconds": "0.1"})
        [(*_, pid)] = await said(parent, 1)
        os.kill(int(pid), signal.SIGTERM)
        await shows("processed_total", 4)  # though who counted that went at once
        found = await scrape(port)
    assert found["streamqueue_worker_duration_seconds_count", ""] == 4
    assert 3 <= found["streamqueue_worker_duration_seconds_sum", ""] < 5


@pytest.mark.on("redis-7.0")
async def test_a_metrics_port_that_is_taken_stops_no_process(queue: Queue, shared_server: RunningServer) -> None:
    await queue.redis.xadd(queue.stream, {"how": "works"})
    port = free_port()
    async with (
        await asyncio.start_server(lambda *_: None, port=port),
        fleet(shared_server, METRICS_PORT=str(port)) as parent,
    ):
        assert (await said(parent, 1))[0][:2] == ["works", "1"]


def test_slots_are_spread_evenly() -> None:
    assert [shares(*each) for each in ((4, 2), (5, 2), (3, 3))] == [[2, 2], [3, 2], [1, 1, 1]]


def test_more_processes_than_tasks_are_refused() -> None:
    with pytest.raises(SettingsError, match="PROCESSES must not be above"):
        Settings(redis_url="redis://h", stream="orders", consumer="pod", concurrency=2, processes=3)


@pytest.mark.parametrize("word", [signal.SIGINT, signal.SIGTERM])
async def test_a_word_to_all_processes_lets_tasks_end(
    queue: Queue, shared_server: RunningServer, word: signal.Signals
) -> None:
    """Ctrl-C in a terminal, or an init that signals the whole group, reaches the children as well as their parent, who
    passes it on: it is one word, not two.
    """
    for _ in range(2):
        await queue.redis.xadd(queue.stream, {"how": "works", "seconds": "1.0"})
    leads = f"import os\nos.setsid()\n{PROGRAM}"
    async with running(leads, shared_server, {}, CONCURRENCY="2", PROCESSES="2") as parent:
        pids = [int(pid) for *_, pid in await said(parent, 2)]
        os.kill(parent.pid, signal.SIGSTOP)  # or two signals may arrive as one
        os.killpg(parent.pid, word)
        await until(lambda: not any(map(is_about_to_hear, pids)), "the children have heard it")
        os.kill(parent.pid, signal.SIGCONT)
        assert await asyncio.wait_for(parent.wait(), 20) == 0
    snapshot = await queue.snapshot()
    assert (snapshot.pending, snapshot.parked, snapshot.due) == (0, 0, 0)


def is_about_to_hear(pid: int) -> bool:
    """Whether a signal to this process has yet to arrive."""
    (pending,) = re.findall(r"ShdPnd:\s*(\w+)", Path(f"/proc/{pid}/status").read_text())
    return int(pending, 16) != 0


async def test_a_second_word_hands_back_at_once(queue: Queue, shared_server: RunningServer) -> None:
    await queue.redis.xadd(queue.stream, {"how": "works", "seconds": "600"})
    async with fleet(shared_server, TIMEOUT="600") as parent:
        await said(parent, 1)
        parent.send_signal(signal.SIGTERM)
        await until(lambda: not is_about_to_hear(parent.pid), "it has heard the first")
        parent.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(parent.wait(), 20) == 0
    assert list((await owners(queue)).values()) == [PARKED]


async def test_children_whose_parent_was_killed_end_their_tasks_and_go(
    queue: Queue, shared_server: RunningServer
) -> None:
    """Where it wasn't the container's first process, nobody else tells them to."""
    for _ in range(3):
        await queue.redis.xadd(queue.stream, {"how": "works", "seconds": "1.0"})
    async with fleet(shared_server) as parent:
        await said(parent, 2)
        parent.kill()
        assert parent.stdout
        assert await asyncio.wait_for(parent.stdout.read(), 20) == b"", "they take no more, and leave"
    snapshot = await queue.snapshot()
    assert (snapshot.pending, snapshot.parked, snapshot.due, snapshot.undelivered) == (0, 0, 0, 1)


async def test_a_signal_without_a_name_that_kills_a_process_ends_no_other(
    queue: Queue, shared_server: RunningServer
) -> None:
    await queue.redis.xadd(queue.stream, {"how": "works"})
    async with fleet(shared_server) as parent:
        [(*_, pid)] = await said(parent, 1)
        os.kill(int(pid), signal.SIGRTMIN + 1)
        await until_two(queue, parent, but=pid)


DEFECT = """
import sys
from streamqueue import Worker
from streamqueue.worker.consumer import Consumer
async def run(self): raise LookupError("a defect")
Consumer.run = run
sys.stderr = sys.stdout
worker = Worker()
@worker.task
def handle(task): pass
worker.run()
"""


@pytest.mark.on("redis-7.0")
async def test_what_ends_a_process_is_said_and_one_that_dies_young_is_not_replaced_at_once(
    queue: Queue, shared_server: RunningServer
) -> None:
    async with running(DEFECT, shared_server, {}, CONCURRENCY="2", PROCESSES="2") as parent:
        assert parent.stdout
        deaths: list[float] = []
        async with asyncio.timeout(20):
            while len(deaths) < 5:  # the first two, two more, and another
                if b"LookupError: a defect" in await parent.stdout.readline():
                    deaths.append(time.monotonic())
        assert deaths[-1] - deaths[0] > 1.0


@pytest.mark.on("redis-7.0")
async def test_what_no_process_could_do_better_ends_all_with_2(queue: Queue, shared_server: RunningServer) -> None:
    without = "from streamqueue import Worker\nWorker().run()"
    async with running(without, shared_server, {}, CONCURRENCY="2", PROCESSES="2") as parent:
        assert await asyncio.wait_for(parent.wait(), 20) == 2

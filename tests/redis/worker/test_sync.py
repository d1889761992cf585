"""The producer for programs without an event loop."""

from __future__ import annotations

import asyncio
import inspect
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError

import pytest

import streamqueue
from streamqueue import PayloadError, State, SyncQueue
from streamqueue.streams import RedisProblem
from tests.redis.queue import Queue
from tests.redis.servers.process import RunningServer
from tests.redis.servers.tls import TlsServer
from tests.redis.worker.pod import working

pytestmark = pytest.mark.process

FORKING = """
import os, sys
from streamqueue import SyncQueue
with SyncQueue(sys.argv[1], "orders") as queue:
    queue.send({"from": "parent"}, id="parent")
    queue._lock.acquire()  # as another thread may have it in this moment
    if os.fork() == 0:
        queue.send({"from": "child"}, id="child")
        os._exit(0)
    queue._lock.release()
    assert os.wait()[1] == 0
    queue.send({"from": "parent"}, id="parent again")
"""


async def test_sends_and_waits_without_a_loop_of_its_own(queue: Queue, shared_server: RunningServer) -> None:
    async def handle(task: dict[str, str]) -> dict[str, str]:
        return {"got": task["n"]}

    def program() -> list[object]:
        with SyncQueue(shared_server.url, queue.stream) as orders:
            first = orders.send({"n": 1}, id="one")
            again = orders.send({"n": 1}, id="one")
            many = orders.send_many(({"n": n} for n in (2, 3)), ids=["two", "three"])
            done = [orders.wait(task.id, timeout=20).value for task in (first, *many)]
            return [again.repeated, done, orders.result("one").state, orders.result("none").state]

    async with working(shared_server.url, handle, results_ttl=60):
        found = await asyncio.to_thread(program)
    assert found == [True, [{"got": "1"}, {"got": "2"}, {"got": "3"}], State.DONE, State.UNKNOWN]


async def test_a_thread_that_could_not_be_started_is_started_with_the_next_call(
    queue: Queue, shared_server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    sent: list[object] = []
    with SyncQueue(shared_server.url, queue.stream) as orders:
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", refused)
            with pytest.raises(RuntimeError, match="can't start"):
                orders.send({"n": 1})
        sending = threading.Thread(target=lambda: sent.append(orders.send({"n": 1}).entry), daemon=True)
        sending.start()
        sending.join(10)
    assert len(sent) == 1


async def test_errors_are_those_of_the_producer(queue: Queue, shared_server: RunningServer) -> None:
    def program() -> None:
        with SyncQueue(shared_server.url, queue.stream) as orders:
            with pytest.raises(PayloadError):
                orders.send({})
            with pytest.raises(TimeoutError):
                orders.wait(orders.send({"n": 1}).id, timeout=0.05)
        with SyncQueue("redis://127.0.0.1:1/0", "orders", patience=0.1) as away, pytest.raises(RedisProblem):
            away.send({"n": 1})

    with pytest.raises(RedisProblem):
        SyncQueue("http://no", "orders")
    await asyncio.to_thread(program)


@pytest.mark.parametrize("name", ["__init__", "send", "send_many", "result", "wait", "close"])
def test_it_takes_what_the_producer_takes(name: str) -> None:
    theirs, ours = (inspect.signature(getattr(kind, name)).parameters for kind in (streamqueue.Queue, SyncQueue))
    assert ours == theirs


async def test_it_reaches_whatever_the_producer_reaches(tls_server: Callable[[str], TlsServer]) -> None:
    server = tls_server("DNS:localhost")

    def program() -> str | None:
        with SyncQueue(f"rediss://localhost:{server.port}", "orders", ca_file=str(server.ca)) as orders:
            return orders.send({"n": 1}).entry

    assert await asyncio.to_thread(program)


async def test_a_queue_is_shared_by_threads_and_leaves_none_behind(queue: Queue, shared_server: RunningServer) -> None:
    def program() -> None:
        before = threading.active_count()
        with SyncQueue(shared_server.url, queue.stream) as orders:
            threads = [threading.Thread(target=lambda n=n: orders.send({"n": n})) for n in range(20)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        for thread in threading.enumerate():
            if thread.name == "streamqueue-producer":
                thread.join(5)
        assert threading.active_count() == before

    await asyncio.to_thread(program)
    assert {fields["n"] for _, fields in await queue.entries()} == {str(n) for n in range(20)}


async def test_it_works_on_both_sides_of_a_fork(queue: Queue, shared_server: RunningServer) -> None:
    command = [sys.executable, "-W", "error::DeprecationWarning", "-c", FORKING, shared_server.url]
    done = await asyncio.to_thread(
        subprocess.run, command, env=os.environ, capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stderr
    assert [fields["sq-id"] for _, fields in await queue.entries()] == ["parent", "child", "parent again"]


async def test_a_close_ends_the_calls_of_other_threads(queue: Queue, shared_server: RunningServer) -> None:
    def program() -> list[type[BaseException]]:
        ended: list[type[BaseException]] = []
        orders = SyncQueue(shared_server.url, queue.stream)
        task = orders.send({"n": 1}).id

        def wait() -> None:
            try:
                orders.wait(task)
            except BaseException as error:
                ended.append(type(error))

        waiting = threading.Thread(target=wait, daemon=True)
        waiting.start()
        while not any("Queue.wait" in repr(each) for each in asyncio.all_tasks(orders._loop)):
            time.sleep(0.01)  # the task is another thread's
        orders.close()
        waiting.join(10)
        return ended

    assert await asyncio.to_thread(program) == [CancelledError]

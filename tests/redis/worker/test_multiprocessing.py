"""A handler with processes of its own: each imports the program anew, to the end of its last line."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest

from tests.redis.queue import Queue
from tests.redis.servers.process import RunningServer
from tests.redis.worker.program import pod_environment, said, started

pytestmark = pytest.mark.process

PROGRAM = """
import multiprocessing, os
from concurrent.futures import ProcessPoolExecutor
from streamqueue import Worker
worker = Worker()
processes = ProcessPoolExecutor(1, multiprocessing.get_context(os.environ["KIND"]))
def square(number): return number * number
@worker.task
def handle(task: dict[str, int]):
    os.write(1, f"{processes.submit(square, task['number']).result()}\\n".encode())
worker.run()
"""


@pytest.mark.parametrize("kind", ["fork", "forkserver", "spawn"])  # the second is Python's choice from 3.14 on
async def test_a_handlers_own_processes_run_no_worker(
    queue: Queue, shared_server: RunningServer, tmp_path: Path, kind: str
) -> None:
    program = tmp_path / "handler.py"
    program.write_text(PROGRAM)
    await queue.redis.xadd(queue.stream, {"number": "3"})
    async with started(str(program), environment={**pod_environment(shared_server), "KIND": kind}) as worker:
        assert await said(worker, 1) == [["9"]]
        worker.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(worker.wait(), 20) == 0
    assert (await queue.snapshot()).consumers == ()

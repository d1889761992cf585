"""Forks the storm's processes from one that has imported everything, so that a killed worker is back at once.

`python -m tests.chaos.nursery` reads an order a line, as JSON, and answers with the pid.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import traceback
from contextlib import suppress
from dataclasses import asdict
from types import TracebackType

from tests.chaos import actors, naive
from tests.chaos.actors import Actor

LOOPS = {"sdk": actors.run, "batch": actors.run_batches, "naive": naive.run}
STEP = 0.02  # seconds between two looks at a process


class Child:
    """A process that the nursery has forked, and reaps."""

    def __init__(self, pid: int) -> None:
        self._pid = pid

    @property
    def is_alive(self) -> bool:
        return self.signal(0)

    def signal(self, number: int) -> bool:
        """Whether it was still there."""
        try:
            os.kill(self._pid, number)
        except ProcessLookupError:
            return False
        return True

    async def wait(self, seconds: float) -> None:
        async with asyncio.timeout(seconds):
            while self.is_alive:  # noqa: ASYNC110 - another process reaps it
                await asyncio.sleep(STEP)


class Nursery:
    """`async with Nursery() as nursery`: at the end whoever is left is killed."""

    async def __aenter__(self) -> Nursery:
        pipe = asyncio.subprocess.PIPE
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", __name__, stdin=pipe, stdout=pipe, start_new_session=True
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        await self._process.wait()

    async def fork(self, loop: str, actor: Actor) -> Child:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps({"loop": loop, **asdict(actor)}).encode() + b"\n")
        return Child(int(await self._process.stdout.readline()))


def main() -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the dead are reaped by the kernel
    for line in sys.stdin:
        order = json.loads(line)
        run, actor = LOOPS[order.pop("loop")], Actor(**order)
        pid = os.fork()
        if not pid:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            try:
                run(actor)
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(0)
        print(pid, flush=True)
    os.killpg(0, signal.SIGKILL)  # the storm is over, however it ended


if __name__ == "__main__":
    main()

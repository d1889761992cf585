"""A worker in a process of its own, told by its environment as in a pod."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from tests.redis.queue import Queue
from tests.redis.servers.process import RunningServer


@asynccontextmanager
async def running(
    program: str, server: RunningServer, environment: Mapping[str, str], **settings: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """The text of a Python `program`; `settings` without their prefix. Told twice to go at the end, as its children."""
    pod = {"REDIS_URL": server.url, "STREAM": Queue.stream, "CONSUMER": "pod", **settings}
    variables = {f"STREAMQUEUE_{name}": value for name, value in pod.items()}
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", program),
        env={**os.environ, **variables, **environment},
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield child
    finally:
        if child.returncode is None:
            child.send_signal(signal.SIGTERM)
            child.send_signal(signal.SIGTERM)
            await child.wait()


async def said(child: asyncio.subprocess.Process, lines: int) -> list[list[str]]:
    """The words of the next lines."""
    assert child.stdout
    return [(await asyncio.wait_for(child.stdout.readline(), 20)).decode().split() for _ in range(lines)]

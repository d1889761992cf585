"""Python programs in processes of their own; and a worker there, told by its environment as in a pod."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress

from tests.redis.queue import Queue
from tests.redis.servers.process import RunningServer

PATIENCE = 20.0  # seconds


@asynccontextmanager
async def started(*arguments: str, environment: Mapping[str, str]) -> AsyncIterator[asyncio.subprocess.Process]:
    """`python` with these arguments. Told twice to go at the end, as its children, and killed if it stays."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, env={**os.environ, **environment}, stdout=asyncio.subprocess.PIPE
    )
    try:
        yield child
    finally:
        if child.returncode is None:
            child.send_signal(signal.SIGTERM)
            child.send_signal(signal.SIGTERM)
            with suppress(TimeoutError):
                await asyncio.wait_for(child.wait(), PATIENCE)
        if child.returncode is None:
            child.kill()
            await child.wait()


def running(
    program: str, server: RunningServer, environment: Mapping[str, str], **settings: str
) -> AbstractAsyncContextManager[asyncio.subprocess.Process]:
    """The text of a Python `program`; `settings` without their prefix."""
    return started("-c", program, environment={**pod_environment(server, **settings), **environment})


def pod_environment(server: RunningServer, **settings: str) -> dict[str, str]:
    """A pod's environment; `settings` without their prefix."""
    variables = {"REDIS_URL": server.url, "STREAM": Queue.stream, "CONSUMER": "pod", **settings}
    return {f"STREAMQUEUE_{name}": value for name, value in variables.items()}


async def said(child: asyncio.subprocess.Process, lines: int) -> list[list[str]]:
    """The words of the next lines."""
    assert child.stdout
    return [(await asyncio.wait_for(child.stdout.readline(), PATIENCE)).decode().split() for _ in range(lines)]

"""A Redis for as long as it is needed."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from streamqueue.local.ports import free_port
from streamqueue.streams import RedisProblem, connect
from streamqueue.streams.errors import execute

PROGRAMS = ("redis-server", "valkey-server")
START_TIMEOUT = 10.0  # seconds
POLL = 0.02  # seconds


class NoServer(Exception):
    """No server can be started; the message says what to do."""


@asynccontextmanager
async def redis_server() -> AsyncIterator[str]:
    """The URL of a server on 127.0.0.1 that keeps nothing and ends with the block. Raises NoServer."""
    program = next((found for name in PROGRAMS if (found := shutil.which(name))), None)
    if program is None:
        raise NoServer(
            "neither redis-server nor valkey-server is on the PATH: install one (apt install redis-server, "
            "brew install redis), or give --redis URL"
        )
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="streamqueue-") as folder:
        process = await asyncio.create_subprocess_exec(
            *(program, "--port", str(port), "--bind", "127.0.0.1"),
            *("--dir", folder, "--save", "", "--loglevel", "warning"),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for us: the workers need it to the end
        )
        try:
            url = f"redis://127.0.0.1:{port}/0"
            await _until_it_answers(url, process)
            yield url
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()


async def _until_it_answers(url: str, process: asyncio.subprocess.Process) -> None:
    async with connect(url) as client:
        for _ in range(int(START_TIMEOUT / POLL)):
            if process.returncode is not None:
                break
            try:
                await execute(client, "PING")
            except RedisProblem:
                await asyncio.sleep(POLL)
            else:
                return
    raise NoServer(f"the Redis server didn't start (exit code {process.returncode}): give --redis URL")

"""The program as people call it, straight on a real server."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from dataclasses import dataclass
from typing import Any

import pytest

from streamqueue.cli.doctor import gather
from streamqueue.cli.main import run
from tests.redis.servers.process import RunningServer


@dataclass(frozen=True)
class Called:
    """How one call ended."""

    code: int
    out: str
    err: str


class Cli:
    """`await cli("dlq", "ls", "-c", "5")`, on stream `orders` and group `workers` of `url`."""

    def __init__(self, url: str, capsys: pytest.CaptureFixture[str]) -> None:
        self.url = url
        self._capsys = capsys

    async def call(self, *words: str, group: str = "workers", stream: str = "orders") -> Called:
        """Whatever comes of it."""
        return await self._called(*words, "--stream", stream, "--group", group)

    async def bare(self, *words: str) -> str:
        """What it printed, with the server's URL alone; it must succeed."""
        called = await self._called(*words)
        assert called.code == 0, called
        return called.out

    async def _called(self, *words: str) -> Called:
        self._capsys.readouterr()
        code = await asyncio.to_thread(run, [*words, "--redis", self.url])
        captured = self._capsys.readouterr()
        return Called(code, captured.out, captured.err)

    async def __call__(self, *words: str, **where: str) -> str:
        """What it printed; it must succeed."""
        called = await self.call(*words, **where)
        assert called.code == 0, called
        return called.out

    async def unread(self, *words: str) -> Called:
        """With a pipe for its output whose reader has left, as `head` does."""
        ours, theirs = os.pipe()
        os.close(ours)
        process = await self.started(*words, stdout=theirs)
        os.close(theirs)
        _, said = await process.communicate()
        assert process.returncode is not None
        return Called(process.returncode, "", said.decode())

    async def started(self, *words: str, stdout: int = asyncio.subprocess.PIPE) -> asyncio.subprocess.Process:
        """As a process of its own, which Ctrl-C ends: what a job in the background starts would ignore it."""
        where = ["--redis", self.url, "--stream", "orders", "--group", "workers"]
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "streamqueue.cli", *words, *where),
            stdout=stdout,
            stderr=asyncio.subprocess.PIPE,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )

    async def json(self, *words: str, **where: str) -> Any:
        return json.loads(await self(*words, "-o", "json", **where))

    async def refused(self, *words: str, code: int, **where: str) -> str:
        """The one line it ended with."""
        called = await self.call(*words, **where)
        assert called.code == code, called
        assert called.err.count("\n") == 1, called.err
        return called.err

    async def doctor(self, *words: str, **where: str) -> dict[str, dict[str, Any]]:
        """Findings by name; those of this server's missing persistence left out."""
        (diagnosis,) = json.loads((await self.call("doctor", "-o", "json", *words, **where)).out)
        return {each["check"]: each for each in diagnosis["findings"] if each["check"] != "persistence"}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Doctor's second look comes soon."""
    monkeypatch.setattr(gather, "PAUSE", 0.01)


@pytest.fixture
def cli(shared_server: RunningServer, capsys: pytest.CaptureFixture[str]) -> Cli:
    return Cli(shared_server.url, capsys)

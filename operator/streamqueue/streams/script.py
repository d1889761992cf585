"""Lua scripts, in files beside the functions that call them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from importlib import resources
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import NoScriptError

from streamqueue.streams.connection import call
from streamqueue.streams.errors import ProblemKind, RedisProblem, execute, typed

Arg = str | bytes | int | float

TRIES = 5  # a server may restart between a load and the call after it

_MISSING = object()


class Script:
    """One script: `await script(client, keys, args)`. Raises RedisProblem."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.sha = hashlib.sha1(self.source.encode(), usedforsecurity=False).hexdigest()

    @classmethod
    def beside(cls, package: str, *names: str) -> Script:
        """The script in a file of `package`, or in several that are joined in this order: what several scripts share
        comes first. A file that `package` doesn't have is taken from this package.
        """
        return cls("".join(_read(package, name) for name in names))

    def command(self, keys: Sequence[str], args: Sequence[Arg]) -> tuple[Arg, ...]:
        """The EVALSHA command, for pipelines."""
        return ("EVALSHA", self.sha, len(keys), *keys, *args)

    async def load(self, client: Redis) -> None:
        await execute(client, "SCRIPT LOAD", self.source)

    async def __call__(self, client: Redis, keys: Sequence[str], args: Sequence[Arg]) -> Any:
        command = self.command(keys, args)
        for _ in range(TRIES):
            reply = await typed(_unless_missing(client, command))
            if reply is not _MISSING:
                return reply
            # Restarted, failed over or flushed. The script did not run, so that another call is safe.
            await self.load(client)
        raise RedisProblem(
            ProblemKind.UNREACHABLE, "Redis restarts, fails over or is flushed all the time; see its log"
        )


def _read(package: str, name: str) -> str:
    file = resources.files(package) / name
    return (file if file.is_file() else resources.files(__package__) / name).read_text(encoding="utf-8")


async def _unless_missing(client: Redis, command: Sequence[Arg]) -> Any:
    try:
        return await call(client, command)
    except NoScriptError:
        return _MISSING

"""Replay: entries of the stream again, as tasks of their own that carry where they come from."""

from __future__ import annotations

from collections.abc import AsyncIterator

from redis.asyncio import Redis

from streamqueue.api.spec import QueueSpec
from streamqueue.streams.entry_ids import successor
from streamqueue.streams.script import Arg, Script

_SCRIPT = Script.beside(__package__, "reaches_others.lua", "replay.lua")


class WouldReachOthers(Exception):
    """The stream has other groups, which would get the copies too: nothing was copied."""


async def replay(
    client: Redis, spec: QueueSpec, first: str, last: str, *, into: str = "", step: int = 100
) -> AsyncIterator[tuple[int, str]]:
    """Copy the entries from `first` to `last` into the queue, or into another stream; yields after each step how many
    it copied and the id of the last, so that an interrupted replay can go on from there.

    `last` must be an id: up to `+`, a replay into its own stream would follow itself. Raises RedisProblem and
    WouldReachOthers.
    """
    own = into in ("", spec.stream)
    keys = [spec.stream, into or spec.stream]
    more = True
    while more:
        args: list[Arg] = [spec.group if own else "", step, first, last, int(spec.delivery.reaches_others)]
        count, at, again = await _SCRIPT(client, keys, args)
        if count < 0:
            raise WouldReachOthers
        if count:
            yield count, at.decode()
            first = successor(at.decode())
        more = bool(again)

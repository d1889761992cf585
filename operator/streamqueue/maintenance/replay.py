"""Replay: entries of the stream again, as tasks of their own that carry where they come from."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import NamedTuple

from redis.asyncio import Redis

from streamqueue.api.spec import QueueSpec
from streamqueue.streams.entry_ids import successor
from streamqueue.streams.script import Arg, Script

_SCRIPT = Script.beside(__package__, "task.lua", "reaches_others.lua", "replay.lua")


class Step(NamedTuple):
    """How many were copied, the id of the last that was read, and those that have too many fields to be copied."""

    copied: int
    reached: str
    left_out: tuple[str, ...]


class WouldReachOthers(Exception):
    """The stream has other groups, which would get the copies too: nothing was copied."""


async def replay(
    client: Redis, spec: QueueSpec, first: str, last: str, *, into: str = "", step: int = 100
) -> AsyncIterator[Step]:
    """Copy the entries from `first` to `last` into the queue, or into another stream, in steps: an interrupted replay
    can go on from where one of them has reached.

    `last` must be an id: up to `+`, a replay into its own stream would follow itself. Raises RedisProblem and
    WouldReachOthers.
    """
    own = into in ("", spec.stream)
    keys = [spec.stream, into or spec.stream]
    more = True
    while more:
        args: list[Arg] = [spec.group if own else "", step, first, last, int(spec.delivery.reaches_others)]
        count, at, again, left_out = await _SCRIPT(client, keys, args)
        if count < 0:
            raise WouldReachOthers
        if at:
            made = Step(count, at.decode(), tuple(entry.decode() for entry in left_out))
            yield made
            first = successor(made.reached)
        more = bool(again)

"""Entries that were taken back from workers that nobody saw die. return.lua notes them, whoever makes the pass; here
they are taken from its list, so that each is counted once.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from redis.asyncio import Redis

from streamqueue.api.keys import Keys
from streamqueue.streams.entries import Entry, read_entries
from streamqueue.streams.errors import execute

PAGE = 1000


class Cause(StrEnum):
    """Why an entry came back without a crash; `sq-cause` of a dead letter says the same."""

    VISIBILITY_TIMEOUT = "visibility-timeout"  # it idled for longer
    ABANDONED = "abandoned"  # its consumer has read again since


class Return(NamedTuple):
    """One entry that went back to work. `delivered_at`: unix seconds by Redis's clock."""

    consumer: str
    cause: Cause
    delivered_at: float


async def take_returns(client: Redis, keys: Keys) -> list[Return]:
    """The returns since the last call, at most PAGE; they are removed. Raises RedisProblem.

    For one caller at a time. What a lost reply hides is not told again: a count of them is "at least so many".
    """
    entries = await read_entries(client, keys.returns, count=PAGE)
    if not entries:
        return []
    await execute(client, "XDEL", keys.returns, *(entry.id for entry in entries))
    return [found for entry in entries if (found := _return(entry))]


def _return(entry: Entry) -> Return | None:
    """None for what another version of the script has noted."""
    try:
        cause = Cause(entry.field("cause") or "")
        return Return(entry.field("consumer") or "", cause, int(entry.field("delivered-at") or "") / 1000)
    except ValueError:
        return None

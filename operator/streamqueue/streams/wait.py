"""Waiting for entries instead of polling for them."""

from __future__ import annotations

from collections.abc import Mapping

from redis.asyncio import Redis

from streamqueue.streams.connection import block_for
from streamqueue.streams.errors import execute


async def wait_for_entries(client: Redis, positions: Mapping[str, str], timeout: float) -> set[str]:  # noqa: ASYNC109
    """The streams that have an entry after the given id, within `timeout` seconds; empty if none got one.

    One blocked XREAD, on a connection of its own; at most one entry a stream is read and thrown away. The streams
    must share a server (on a cluster: a slot). Raises RedisProblem.
    """
    block = block_for(client, timeout)
    reply = await execute(client, "XREAD", "COUNT", 1, "BLOCK", block, "STREAMS", *positions, *positions.values())
    return {name.decode("utf-8", "replace") for name, *_ in reply or ()}

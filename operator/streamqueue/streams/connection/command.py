"""One command without the instruments, retries and conversions of redis-py's client, which cost more than the call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from redis.asyncio import Redis

from streamqueue.streams.connection.quick import reply_on


async def called(node: Redis, command: Sequence[Any]) -> Any:
    """The reply as it came. Raises what redis-py's client raises; a connection that failed has closed itself."""
    if node.single_connection_client:  # which must be that one, for WAIT
        return await node.execute_command(*command)  # type: ignore[no-untyped-call]
    pool = node.connection_pool
    connection = await pool.get_connection()  # type: ignore[no-untyped-call]
    try:
        await connection.send_packed_command(connection.pack_command(*command))
        return await reply_on(connection)
    finally:
        await pool.release(connection)

"""Many commands on one connection, one write and one read after the other; the server works meanwhile.

redis-py's own pipeline spends most of its time on a timer for each reply and on packing in Python; see `Quick`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from streamqueue.streams.connection.quick import reply_on

AT_ONCE = 64  # commands that are packed and written together

Convert = Callable[[Any], Any]


def unchanged(reply: Any) -> Any:
    return reply


async def piped(node: Redis, commands: Sequence[Sequence[Any]], convert: Convert) -> list[Any]:
    """What `convert` makes of each reply, or the error that the server answered with.

    Where the connection fails, its error in the place of all.
    """
    pool = node.connection_pool
    try:
        connection = await pool.get_connection()  # type: ignore[no-untyped-call]
        try:
            await _write(connection, commands)
            return await _read(connection, len(commands), convert)
        except BaseException:
            await connection.disconnect(nowait=True)  # replies may be on their way that nobody waits for
            raise
        finally:
            await pool.release(connection)
    except (RedisError, OSError, asyncio.IncompleteReadError) as error:
        return [error] * len(commands)


async def _write(connection: Any, commands: Sequence[Sequence[Any]]) -> None:
    for start in range(0, len(commands), AT_ONCE):
        packed = connection.pack_commands(commands[start : start + AT_ONCE])
        await connection.send_packed_command(packed, check_health=start == 0)


async def _read(connection: Any, count: int, convert: Convert) -> list[Any]:
    found: list[Any] = []
    for _ in range(count):
        try:
            found.append(convert(await reply_on(connection)))
        except ResponseError as error:
            found.append(error)
    return found

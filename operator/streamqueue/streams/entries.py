"""Entries of a stream, whole or without their payload."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis

from streamqueue.streams.entry_ids import successor
from streamqueue.streams.errors import execute
from streamqueue.streams.script import Script

PAGE = 1000

_HEADERS = Script.beside(__package__, "headers.lua")


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry, its fields in the producer's order."""

    id: str
    fields: Mapping[bytes, bytes]

    def field(self, name: str) -> str | None:
        """The value of this field as text."""
        value = self.fields.get(name.encode())
        return None if value is None else value.decode("utf-8", "replace")

    @property
    def task(self) -> str:
        """The task's id: the producer's, or that of the first entry."""
        return self.field("sq-id") or self.id

    @property
    def attempts(self) -> int:
        """Those that a copy carries along."""
        return count_of(self.fields.get(b"sq-attempt"))


def count_of(said: bytes | None) -> int:
    """A number that an entry carries; 0 where its producer made up what is none, or has thousands of digits."""
    return int(said) if said and len(said) < 10 and said.isdigit() else 0


async def read_entries(
    client: Redis, stream: str, start: str = "-", end: str = "+", *, count: int, newest: bool = False
) -> list[Entry]:
    """At most `count` whole entries between two ids, oldest first; with `newest` newest first. Raises RedisProblem."""
    command = ("XREVRANGE", stream, end, start) if newest else ("XRANGE", stream, start, end)
    return [Entry(entry_id.decode(), fields) for entry_id, fields in await execute(client, *command, "COUNT", count)]


async def read_headers(
    client: Redis, stream: str, start: str = "-", end: str = "+", *, count: int = PAGE, newest: bool = False
) -> tuple[list[Entry], bool]:
    """As `read_entries`, with the `sq-` fields alone: payloads stay on the server.

    The flag says that the script stopped early, at a bound on what it reads: there may be more. Raises RedisProblem.
    """
    stopped, rows = await _HEADERS(client, [stream], [start, end, count, int(newest)])
    return entries_of(rows), bool(stopped)


async def header_pages(client: Redis, stream: str, start: str = "-", end: str = "+") -> AsyncIterator[list[Entry]]:
    """All entries between two ids, oldest first, as `read_headers` gives them. Raises RedisProblem."""
    more = True
    while more:
        page, stopped = await read_headers(client, stream, start, end)
        more = stopped or len(page) == PAGE
        if page:
            yield page
            start = successor(page[-1].id)


def entries_of(rows: Iterable[Any]) -> list[Entry]:
    """Of a script's reply: rows of {id, names and values in turn}."""
    return [Entry(entry_id.decode(), fields_of(flat)) for entry_id, flat in rows]


def fields_of(flat: Sequence[bytes]) -> dict[bytes, bytes]:
    """Of names and values in turn."""
    return dict(zip(flat[::2], flat[1::2], strict=True))

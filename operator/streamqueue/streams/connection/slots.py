"""Which node of a cluster serves a command, and where it is reached. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from redis.crc import key_slot
from redis.exceptions import AskError, MovedError

from streamqueue.streams.errors import ProblemKind, RedisProblem

# Commands for a server and not for a key, by their first word.
_KEYLESS = {
    *("ACL", "CLIENT", "CLUSTER", "COMMAND", "CONFIG", "DBSIZE", "FLUSHALL", "INFO", "PING", "PUBLISH", "ROLE"),
    *("SAVE", "SCAN", "SCRIPT", "TIME", "WAIT"),
}


class Place(NamedTuple):
    """Where a node is reached; `name` is the one its certificate must be for."""

    host: str
    port: int
    name: str


class Redirection(NamedTuple):
    ask: bool  # for this command alone, while its slot moves
    slot: int
    host: str  # empty: the one that was asked
    port: int


@dataclass(frozen=True, slots=True)
class Range:
    """Slots `first` to `last` and the announced addresses of those who have them, the primary first."""

    first: int
    last: int
    nodes: tuple[tuple[str, int], ...]


def slot_of(command: Sequence[Any]) -> int | None:
    """The slot of the command's keys, None for a command without. Raises RedisProblem for keys of several slots."""
    slots = {key_slot(_bytes(key)) for key in _keys(command)}
    if len(slots) > 1:
        raise RedisProblem(ProblemKind.CLUSTER, "the keys are in several slots of a Redis Cluster")
    return slots.pop() if slots else None


def _keys(command: Sequence[Any]) -> Sequence[Any]:
    words = [*str(command[0]).upper().split(), *command[1:]]
    if words[0] in ("EVAL", "EVALSHA"):
        return words[3 : 3 + int(words[2])]
    if words[0] in ("XREAD", "XREADGROUP"):
        start = 4 if words[0] == "XREADGROUP" else 1  # a group may be named STREAMS
        at = next(i for i in range(start, len(words)) if words[i] in ("STREAMS", b"STREAMS"))
        named = words[at + 1 :]
        return named[: len(named) // 2]
    if words[0] in _KEYLESS:
        return ()
    return words[2:3] if words[0] in ("XINFO", "XGROUP", "OBJECT") else words[1:2]


def _bytes(key: Any) -> bytes:
    return key if isinstance(key, bytes) else str(key).encode()


def redirection(error: BaseException) -> Redirection | None:
    """Where the server says the key is, if the error says that."""
    if not isinstance(error, AskError):  # which a MovedError is, too
        return None
    return Redirection(not isinstance(error, MovedError), error.slot_id, error.host, error.port)


def read_slots(reply: Sequence[Any], asked: str) -> list[Range]:
    """CLUSTER SLOTS, as `asked` gave it: a node that doesn't know its own host leaves it out."""
    return [Range(first, last, tuple(_announced(nodes, asked))) for first, last, *nodes in reply]


def _announced(nodes: Sequence[Any], asked: str) -> Iterator[tuple[str, int]]:
    for host, port, *_ in nodes:
        text = host.decode() if isinstance(host, bytes) else host
        yield (text if text not in (None, "", "?") else asked, int(port))


def place_of(host: str, port: int, front: str, *, secure: bool, own_ports: bool) -> Place:
    """Where the node that announces `host:port` is reached by who was given the host `front`.

    Nodes that announce IP addresses, as Azure's do, have certificates for the name that users are given. They are
    verified by that name; where each node has a port of its own they are reached by it, too, since addresses may be
    those of an inner network.
    """
    if not secure or not _is_ip(host) or _is_ip(front):
        return Place(host, port, host)
    return Place(front if own_ports else host, port, front)


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True

"""How a run ended, and what became of that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from streamqueue.streams.script import Arg


@dataclass(frozen=True, slots=True)
class Emit:
    """An entry for another stream, appended with the acknowledgement, or by way of the outbox.

    `on_next_redis`: the stream is on the endpoint of `next.redis`.
    """

    stream: str
    fields: Sequence[tuple[str, str | bytes]]
    on_next_redis: bool = False


class Settlement(NamedTuple):
    """How a run ended, as task_exchange.lua takes it: an "ack" with nothing to note or emit has no `args`."""

    kind: str
    args: tuple[Arg, ...] = ()
    emits: tuple[Emit, ...] = ()


ACKNOWLEDGED = Settlement("ack")  # with nothing to note, nothing to emit


class Verdict(StrEnum):
    """What became of a settlement."""

    ACKED = "acked"
    PARKED = "parked"  # for its retry
    DEAD = "dead"  # in the dead-letter stream
    HELD = "held"  # parked, because the dead-letter stream or Redis's memory is full
    RELEASED = "released"  # handed back
    ALREADY_MINE = "already-mine"  # an earlier call of the same run did it; its reply was lost
    STOLEN = "stolen"  # the lease was lost: nothing was done
    GONE = "gone"  # the payload had been deleted

"""Names of the Redis keys of one queue.

All share the stream's hash slot, so that one script may touch them together on a cluster. State belongs to the
group: two queues with different groups on one stream keep apart.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_NO_BRACES = re.compile(r"[^{}]+")
_ON_NEXT_REDIS = "{}"  # no name of a stream begins so
_ONE_HASH_TAG = re.compile(r"[^{}]*\{[^{}]+\}[^{}]*")


def tagged(stream: str) -> str:
    """The prefix of the derived keys: `orders` -> `{orders}`, `a{b}c` stays.

    Raises ValueError with a sentence where the braces form anything but one non-empty hash tag, or there is no name.
    """
    if not stream:
        raise ValueError("the name of a stream is at least one character")
    if _NO_BRACES.fullmatch(stream):
        return "{" + stream + "}"
    if _ONE_HASH_TAG.fullmatch(stream):
        return stream
    raise ValueError(
        "braces in a stream name must form exactly one non-empty hash tag, as in jobs:{eu}, or be left out"
    )


def target_on_next_redis(stream: str) -> str:
    """What an outbox calls `stream` where it is on the endpoint of `next.redis`, and not on the queue's own."""
    return _ON_NEXT_REDIS + stream


def stream_on_next_redis(target: str) -> str | None:
    """The stream that `target` means on the endpoint of `next.redis`; None for one on the queue's own."""
    return target.removeprefix(_ON_NEXT_REDIS) if target.startswith(_ON_NEXT_REDIS) else None


def shown(target: str) -> str:
    """An outbox's target in words."""
    stream = stream_on_next_redis(target)
    return target if stream is None else f"{stream} of next.redis"


@dataclass(frozen=True, slots=True)
class StreamKeys:
    """Keys that all groups of `stream` share. Raises ValueError for a name whose braces cannot be used."""

    stream: str

    def __post_init__(self) -> None:
        tagged(self.stream)

    @property
    def delayed(self) -> str:
        """Sorted set: task ids by the time (ms) at which they enter the stream."""
        return f"{tagged(self.stream)}:delayed"

    @property
    def payloads(self) -> str:
        """Hash: the fields of the delayed tasks."""
        return f"{tagged(self.stream)}:delayed:payload"

    def seen(self, source: Keys, server: str = "") -> str:
        """Sorted set: what this stream has received from the outbox of `source`, on another `server` where it is one:
        queues of one name on several servers may hand on to the same stream.
        """
        return ":".join((tagged(self.stream), "seen", *([server] if server else []), source.prefix))

    def sent(self, task_id: str) -> str:
        """The mark of a task that was sent, which makes a second send of the same id harmless."""
        return f"{tagged(self.stream)}:sent:{task_id}"


@dataclass(frozen=True, slots=True)
class Keys:
    """Keys of `group` on `stream`. Raises ValueError for a stream name whose braces cannot be used."""

    stream: str
    group: str

    def __post_init__(self) -> None:
        tagged(self.stream)

    @property
    def prefix(self) -> str:
        """`{orders}:g:workers`: what every key of the group's state begins with."""
        return f"{tagged(self.stream)}:g:{self.group}"

    @property
    def dlq(self) -> str:
        """The dead-letter stream."""
        return f"{self.prefix}:dlq"

    @property
    def epoch(self) -> str:
        """What the last pass knew of the server: tells a failover or a restart from quiet."""
        return f"{self.prefix}:epoch"

    @property
    def lease(self) -> str:
        """Hash: entry id -> token and expiry (ms by Redis's clock) of who runs it."""
        return f"{self.prefix}:lease"

    @property
    def due(self) -> str:
        """Sorted set: parked entries by the time (ms) of their retry."""
        return f"{self.prefix}:due"

    @property
    def attempts(self) -> str:
        """Hash: entry id -> attempts charged; `<id>:crashes` -> workers that died running it; `<id>:cause` -> what it
        died of, while there is no room among the dead letters.
        """
        return f"{self.prefix}:attempts"

    @property
    def returns(self) -> str:
        """Stream: what came back from workers that nobody saw die, until the operator has counted it."""
        return f"{self.prefix}:returns"

    @property
    def done(self) -> str:
        """Sorted set: entry id and token of what was acknowledged within the last minute."""
        return f"{self.prefix}:done"

    @property
    def cordon(self) -> str:
        """Set: the workers that are to take no more tasks; it expires."""
        return f"{self.prefix}:cordon"

    @property
    def outboxes(self) -> str:
        """Set: the streams for which something lies in an outbox."""
        return f"{self.prefix}:outboxes"

    def outbox(self, target: str) -> str:
        """Stream: entries on their way to `target`, which no script of this queue reaches: a stream, or what
        `target_on_next_redis` makes of one.
        """
        return f"{self.prefix}:outbox:{target}"

    @property
    def server(self) -> str:
        """A name that the server was given at random: what `seen` tells it by on another one."""
        return f"{self.prefix}:server"

    @property
    def results(self) -> str:
        """Prefix of the hashes that keep each task's state and result."""
        return f"{self.prefix}:result:"

"""Two queues on one endpoint, stream and group would fight: the older one has it. Pure bookkeeping."""

from __future__ import annotations

from dataclasses import dataclass

from streamqueue.controller.store import Key


@dataclass(frozen=True, slots=True)
class Claim:
    endpoint: str
    stream: str
    group: str


class Claims:
    def __init__(self) -> None:
        self._holder: dict[Claim, Key] = {}
        self._claims: dict[Key, Claim] = {}

    def claim(self, key: Key, claim: Claim) -> Key | None:
        """Take it for `key`; the answer is who has it already, if somebody else does. Who comes first has it."""
        if self._claims.get(key) != claim:
            self.drop(key)
        holder = self._holder.setdefault(claim, key)
        if holder != key:
            return holder
        self._claims[key] = claim
        return None

    def drop(self, key: Key) -> None:
        """Make room: the queue is gone, or can't be read."""
        claim = self._claims.pop(key, None)
        if claim is not None:
            del self._holder[claim]

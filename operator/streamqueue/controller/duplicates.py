"""Two queues on one endpoint, stream and group would fight: the older one has it. Pure bookkeeping."""

from __future__ import annotations

from dataclasses import dataclass

from streamqueue.api.keys import tagged
from streamqueue.controller.cluster.store import Key


@dataclass(frozen=True, slots=True)
class Claim:
    endpoint: str
    stream: str
    group: str

    @property
    def place(self) -> tuple[str, str]:
        """Where its keys are. Streams `orders` and `{orders}` share them, and so each other's delayed tasks."""
        return self.endpoint, tagged(self.stream)


class Claims:
    def __init__(self) -> None:
        self._holders: dict[tuple[str, str], dict[Claim, Key]] = {}  # of one stream in each place
        self._claims: dict[Key, Claim] = {}

    def claim(self, key: Key, claim: Claim) -> Key | None:
        """Take it for `key`; the answer is who has it already, if somebody else does. Who comes first has it."""
        if self._claims.get(key) != claim:
            self.drop(key)
        holders = self._holders.setdefault(claim.place, {})
        first = next(iter(holders), claim)
        if first.stream != claim.stream:
            return holders[first]
        holder = holders.setdefault(claim, key)
        if holder != key:
            return holder
        self._claims[key] = claim
        return None

    def clash(self, holder: Key, claim: Claim) -> str:
        """A sentence for whom `claim` was refused for the sake of `holder`."""
        held, name = self._claims[holder], f"StreamQueue {holder[0]}/{holder[1]}"
        if held.stream == claim.stream:
            return f"{name} has this stream and group already: delete one of the two"
        return f"{name} reads {held.stream}, whose keys are also those of {claim.stream}: delete one of the two"

    def drop(self, key: Key) -> None:
        """Make room: the queue is gone, or can't be read."""
        claim = self._claims.pop(key, None)
        if claim is not None:
            del self._holders[claim.place][claim]
            if not self._holders[claim.place]:
                del self._holders[claim.place]

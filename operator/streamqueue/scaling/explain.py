"""The last decisions with what they were made from, so that "why 7 pods at 03:12?" has an answer."""

from __future__ import annotations

import json
import zlib
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from streamqueue.scaling.model import Decision, Observation, PodState, Reason

OPEN = 16  # latest entries, kept as they are
SEALED_BYTES = 6_000  # of older ones, packed: some hundreds
BRIEF = 10.0  # seconds: what changes no count and lasts shorter is told together


@dataclass(slots=True)
class Entry:
    """A decision that changed something, and how long it was then repeated. Times on the observations' clock."""

    at: float
    until: float
    had: int
    replicas: int
    reason: Reason
    sentence: str
    known: bool
    waiting: int
    pending: int
    oldest_waiting_age: float | None
    pods: dict[PodState, int]
    victims: int  # pods marked to go

    @property
    def changed(self) -> bool:
        return self.had != self.replicas


class Journal:
    """A bounded ring of entries, oldest first: about 16 kB at most, and a quiet night takes one entry.

    Decisions that repeat count and reason extend the latest entry.
    """

    def __init__(self, *, open_entries: int = OPEN) -> None:
        self._open_entries = open_entries
        self._open: list[Entry] = []
        self._sealed: deque[bytes] = deque()  # blocks of `open_entries`, oldest first

    def note(self, observation: Observation, decision: Decision) -> None:
        """Take in one decision; cheap enough to call for each."""
        last = self._open[-1] if self._open else None
        if last and _continues(last, observation, decision):
            if last.reason is decision.reason:
                last.until = observation.now
            else:
                self._open[-1] = _entry(observation, decision, last.at)
            return
        if len(self._open) == self._open_entries:
            self._seal()
        self._open.append(_entry(observation, decision, observation.now))

    def __iter__(self) -> Iterator[Entry]:
        for block in self._sealed:
            yield from (_unpack(row) for row in json.loads(zlib.decompress(block)))
        yield from self._open

    @property
    def weight(self) -> int:
        """Bytes of the packed part."""
        return sum(map(len, self._sealed))

    def _seal(self) -> None:
        self._sealed.append(zlib.compress(json.dumps([asdict(entry) for entry in self._open]).encode(), 9))
        self._open.clear()
        while self.weight > SEALED_BYTES:
            self._sealed.popleft()


def _continues(last: Entry, observation: Observation, decision: Decision) -> bool:
    """The same again; or a brief change of mind about the reason while the count stays."""
    if last.until > observation.now or (last.had, last.replicas) != (observation.replicas, decision.replicas):
        return False
    return last.reason is decision.reason or (not last.changed and observation.now - last.at < BRIEF)


def _entry(observation: Observation, decision: Decision, at: float) -> Entry:
    pods: dict[PodState, int] = {}
    for pod in observation.pods:
        pods[pod.state] = pods.get(pod.state, 0) + 1
    return Entry(
        at=at,
        until=observation.now,
        had=observation.replicas,
        replicas=decision.replicas,
        reason=decision.reason,
        sentence=decision.sentence,
        known=observation.known,
        waiting=observation.waiting,
        pending=observation.pending,
        oldest_waiting_age=observation.oldest_waiting_age,
        pods=pods,
        victims=len(decision.victims),
    )


def _unpack(row: dict[str, Any]) -> Entry:
    pods = {PodState(state): count for state, count in row.pop("pods").items()}
    return Entry(**row | {"pods": pods, "reason": Reason(row["reason"])})

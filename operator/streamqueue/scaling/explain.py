"""The last decisions with what they were made from, so that "why 7 pods at 03:12?" has an answer."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from streamqueue.scaling.model import Decision, Observation, PodState, Reason

KEPT = 200  # decisions per queue


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
    victims: tuple[str, ...]


class Journal:
    """A bounded ring of entries, oldest first.

    Decisions that repeat count and reason extend the latest entry, so that a quiet night takes one.
    """

    def __init__(self, kept: int = KEPT) -> None:
        self._entries: deque[Entry] = deque(maxlen=kept)

    def note(self, observation: Observation, decision: Decision) -> None:
        """Take in one decision; cheap enough to call for each."""
        if self._entries:
            last = self._entries[-1]
            if (
                last.replicas == decision.replicas == observation.replicas
                and last.reason is decision.reason
                and last.until <= observation.now
            ):
                last.until = observation.now
                return
        pods: dict[PodState, int] = {}
        for pod in observation.pods:
            pods[pod.state] = pods.get(pod.state, 0) + 1
        self._entries.append(
            Entry(
                at=observation.now,
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
                victims=decision.victims,
            )
        )

    def at(self, time: float) -> Entry | None:
        """The entry that held at `time`; None before the first one kept."""
        found = None
        for entry in self._entries:
            if entry.at > time:
                break
            found = entry
        return found

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

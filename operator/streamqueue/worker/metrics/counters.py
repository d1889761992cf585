"""What a worker process counts."""

from __future__ import annotations

from dataclasses import dataclass, fields

from streamqueue.streams.settlement import Verdict


@dataclass(slots=True)
class Counters:
    """Runs by what became of them, since the process began."""

    acked: int = 0
    parked: int = 0  # for a retry
    dead: int = 0
    held: int = 0  # parked, because the dead-letter stream or Redis's memory is full
    released: int = 0  # handed back unfinished
    stolen: int = 0  # the lease was lost: the run counts for nothing
    gone: int = 0  # the payload had been deleted
    claimed: int = 0  # taken over from other workers

    def add(self, verdict: Verdict) -> None:
        # An earlier call acknowledged it; its reply was lost.
        name = "acked" if verdict is Verdict.ALREADY_MINE else verdict.value
        setattr(self, name, getattr(self, name) + 1)

    def __str__(self) -> str:
        named = ((item.name, getattr(self, item.name)) for item in fields(self))
        return ", ".join(f"{count} {name}" for name, count in named if count) or "no tasks"

"""What a pass did and found; the controller turns it into conditions, the CronJob into one line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from streamqueue.maintenance.quiet import TRUSTED, Quiet
from streamqueue.streams.errors import ABSENT, RedisProblem


@dataclass(slots=True, kw_only=True)
class ReleaseReport:
    """Counts of pending entries, by what became of them."""

    returned: int = 0  # back in the stream as a copy
    dead_lettered: int = 0
    held_back: int = 0  # left pending: the dead-letter stream is full, or the entry has too many fields to copy
    dropped: int = 0  # acknowledged, since the payload had been deleted or trimmed
    requeue_needs_worker: int = 0  # left pending: a copy would reach the stream's other groups
    moved: int = 0  # acknowledged or delivered anew meanwhile: not touched
    leased: int = 0  # left to a worker of the SDK: its lease lasts, or the retry is not due
    handed_on: int = 0  # from a dead worker of the SDK to the next that claims, without a copy
    missing: bool = False  # no such stream or group: nothing to do

    @property
    def settled(self) -> int:
        """Entries that stuck and no longer do: back at work, or dead letters."""
        return self.returned + self.dead_lettered + self.handed_on

    @contextmanager
    def noting_absence(self) -> Iterator[None]:
        """Where the stream or the group does not exist, the work inside ends and `missing` says so."""
        try:
            yield
        except RedisProblem as problem:
            if problem.kind not in ABSENT:
                raise
            self.missing = True

    def add(self, counts: list[int]) -> None:
        """Add the script's counts, in the order of return.lua."""
        self.returned += counts[0]
        self.dead_lettered += counts[1]
        self.held_back += counts[2]
        self.dropped += counts[3]
        self.requeue_needs_worker += counts[4]
        self.moved += counts[5]
        self.leased += counts[6]
        self.handed_on += counts[7]


@dataclass(slots=True, kw_only=True)
class SweepReport(ReleaseReport):
    """A whole pass."""

    promoted: int = 0  # delayed tasks that came due
    relayed: int = 0  # results that went from the outbox to their stream
    stuck: tuple[str, ...] = ()  # streams that took no results
    trimmed: int = 0
    trim_blocked_by: tuple[str, ...] = ()  # groups that keep entries past the retention's limit
    consumers_deleted: int = 0
    quiet: Quiet = TRUSTED  # whether idle time proves something
    out_of_time: bool = False  # before all that idled was seen

    def summary(self) -> str:
        """One line for people."""
        if self.missing and not (self.promoted or self.relayed or self.stuck):
            return "nothing to do: the stream or the group does not exist yet"
        counts = {
            "returned": self.returned,
            "handed on": self.handed_on,
            "dead-lettered": self.dead_lettered,
            "dropped (payload gone)": self.dropped,
            "left pending (no room among the dead letters, or too many fields)": self.held_back,
            "left for a worker that claims (several groups)": self.requeue_needs_worker,
            "delayed tasks that came due": self.promoted,
            "results relayed": self.relayed,
            "trimmed": self.trimmed,
            "idle consumers deleted": self.consumers_deleted,
        }
        parts = [f"{count} {what}" for what, count in counts.items() if count] or ["nothing to return"]
        if self.quiet.until is not None:
            until = datetime.fromtimestamp(self.quiet.until, UTC)
            parts.append(f"reclaim by idle time is off until {until:%Y-%m-%dT%H:%M:%SZ} ({self.quiet.reason})")
        if self.stuck:
            parts.append(f"results wait in the outbox for {', '.join(self.stuck)}")
        if self.trim_blocked_by:
            parts.append(f"trim blocked by {', '.join(self.trim_blocked_by)}")
        if not self.quiet.restart_detection:
            parts.append("INFO is not allowed: restarts of Redis may go unseen")
        if self.out_of_time:
            parts.append("time ran out, more next time")
        return "; ".join(parts)

"""All that is found out about one task."""

from __future__ import annotations

from dataclasses import dataclass

from streamqueue.streams import Snapshot
from streamqueue.streams.entries import Entry
from streamqueue.streams.pending_entries import PendingEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFacts:
    """`wanted` is what was asked for, an entry id or a task id."""

    wanted: str
    snapshot: Snapshot
    entries: tuple[Entry, ...] = ()  # of this task in the stream, oldest first, payloads left out
    held: tuple[PendingEntry, ...] = ()  # those of them that are pending, and a pending row of `wanted` itself
    letters: tuple[Entry, ...] = ()  # its dead letters
    delayed_until: float | None = None  # unix seconds at which it enters the stream
    retry_at: float | None = None  # unix seconds at which its parked entry is due
    charged: int = 0  # attempts charged to its newest entry, beside those that the entry itself carries
    ahead: int | None = None  # entries that are delivered before the waiting one; None: not counted to the end
    last_generated: str = "0-0"  # the newest id that the stream ever gave
    first: str | None = None  # the oldest entry that is still there
    complete: bool = True  # False: the stream was too long to be read to its end

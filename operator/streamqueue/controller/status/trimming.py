"""What a producer's own trimming (XADD MAXLEN or MINID, XTRIM) took from a group that still needed it. Pure.

Told by Redis 7.0 and later, whose counters tell trimming from XDEL: an entry that a person or a handler deleted is no
loss of this kind, and where one was deleted meanwhile nothing is said. What `spec.retention` trims was acknowledged.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from streamqueue.controller.status.progress import added_between
from streamqueue.streams.entry_ids import entry_order
from streamqueue.streams.snapshot import Snapshot

SAID_FOR = 600.0  # seconds after a loss


@dataclass(slots=True)
class Trimming:
    """The losses of late, for a condition that people have time to see."""

    lost: int = 0
    _last: float = -math.inf

    def note(self, lost: int, now: float) -> int:
        """Entries lost since the queue last had `SAID_FOR` seconds without a loss; `now` is monotonic."""
        if now - self._last > SAID_FOR:
            self.lost = 0
        if lost:
            self.lost, self._last = self.lost + lost, now
        return self.lost


def lost_undelivered(before: Snapshot, now: Snapshot) -> int:
    """Entries that were trimmed between two looks and delivered to nobody: at least so many."""
    added = added_between(before, now)
    if added is None or not (before.lag_known and now.lag_known):
        return 0
    if not before.last_delivered_id or not now.last_delivered_id or now.last_deleted_id is None:
        return 0
    was, stands = entry_order(before.last_delivered_id), entry_order(now.last_delivered_id)
    if stands < was or entry_order(now.last_deleted_id) > was:
        return 0
    if stands == was:
        return max(0, before.undelivered + added - now.undelivered)
    hole, wider = _hole(before), _hole(now)
    return max(0, wider - hole) if hole is not None and wider is not None else 0


def lost_pending(now: Snapshot) -> bool:
    """Whether an entry was trimmed while a worker held it: nobody can take it over any more."""
    if now.oldest_pending_id is None or now.last_deleted_id is None:
        return False
    oldest = entry_order(now.oldest_pending_id)
    gone = now.first_id is None or oldest < entry_order(now.first_id)
    return gone and entry_order(now.last_deleted_id) < oldest


def _hole(found: Snapshot) -> int | None:
    """Entries that came after what the group has read, and are there no more. None where its reads weren't counted."""
    if found.entries_added is None or found.entries_read is None:
        return None
    hole = found.entries_added - found.entries_read - found.undelivered
    return hole if hole >= 0 else None

"""How many entries came and went between two looks at a stream. Pure."""

from __future__ import annotations

from typing import NamedTuple

from streamqueue.streams.snapshot import Snapshot


class Progress(NamedTuple):
    """At least so many entries. Acknowledged are those that left the group's hands: done, dead-lettered or trimmed."""

    added: int
    acknowledged: int


def progress(before: Snapshot, now: Snapshot) -> Progress:
    """Exact where the server counts what is added (Redis 7.0) and the lag is known at both looks.

    Elsewhere what the two looks prove: a shorter pending list, or one that didn't grow while the group read on, tells
    of acknowledgements. Of a group that was made or deleted meanwhile nothing is known.
    """
    if not (before.group_exists and now.group_exists):
        return Progress(0, 0)
    counted = added_between(before, now)
    unacknowledged = now.unacknowledged - before.unacknowledged
    unfinished = now.undelivered - before.undelivered + unacknowledged
    if counted is not None and before.lag_known and now.lag_known:
        return Progress(counted, max(0, counted - unfinished))
    read_on = now.last_delivered_id != before.last_delivered_id
    acknowledged = max(0, int(read_on) - unacknowledged)
    return Progress(max(0, unfinished + acknowledged) if counted is None else counted, acknowledged)


def added_between(before: Snapshot, now: Snapshot) -> int | None:
    """None where a server doesn't count, or counts anew because the stream was made anew."""
    was, is_ = before.entries_added, now.entries_added
    return is_ - was if was is not None and is_ is not None and is_ >= was else None

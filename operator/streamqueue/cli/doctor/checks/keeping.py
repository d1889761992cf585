"""What stays in the stream, and what went too early."""

from __future__ import annotations

import math
from collections.abc import Iterator
from shlex import quote

from streamqueue.api.spec import RetentionPolicy
from streamqueue.cli.doctor.facts import Facts, Group
from streamqueue.cli.doctor.finding import Finding
from streamqueue.cli.output import age
from streamqueue.streams.entry_ids import entry_order

FORGOTTEN = 3600.0  # seconds without a command of any consumer


def trim_pinned(facts: Facts) -> Iterator[Finding]:
    """One group that nobody reads keeps everything."""
    found, spec, stream = facts.snapshot, facts.spec, facts.stream
    if not (found and spec and stream):
        return
    trimming = facts.configured is None or spec.retention.policy is not RetentionPolicy.NONE
    blockers = [group for group in stream.groups if group.name in found.trim_blockers and _forgotten(group)]
    if not blockers or not trimming:
        return
    group = min(blockers, key=lambda each: entry_order(each.last_delivered))
    who = "has no consumer" if group.active is None else f"was last read {age(group.active)} ago"
    cause = (
        f"group {group.name} {who} and stands at {group.last_delivered}: nothing after that is ever trimmed, "
        f"{found.length} entries now"
    )
    command = f"{facts.redis_cli} XGROUP DESTROY {quote(spec.stream)} {quote(group.name)}"
    yield Finding("trim-pinned", cause, f"if nobody needs that group any more: {command}", warning=True)


def payload_gone(facts: Facts) -> Iterator[Finding]:
    """A producer's own MAXLEN that outran the workers."""
    found, stream = facts.snapshot, facts.stream
    if not (found and stream and found.length <= len(stream.tail)):
        return  # whether older rows have a payload is not known
    first = entry_order(stream.tail[0].id) if stream.tail else (math.inf, 0)
    gone = [row for row in stream.held if row.order < first]
    if gone:
        cause = f"{len(gone)} pending task(s) were trimmed or deleted before they were acknowledged: their data is lost"
        advice = "take MAXLEN out of the producer's XADD, and let spec.retention trim"
        yield Finding("trimmed-early", cause, f"{advice}; streamqueue reclaim {facts.again} clears the rows")


def _forgotten(group: Group) -> bool:
    return group.active is None or group.active > FORGOTTEN

"""What became of a task, and what a queue is doing, in sentences. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from streamqueue.api.durations import format_duration
from streamqueue.api.spec import QueueSpec
from streamqueue.cli.following.facts import TaskFacts
from streamqueue.cli.letters import died_at
from streamqueue.cli.moments import entry_time, is_entry_id, utc_time
from streamqueue.cli.output import age
from streamqueue.streams import Snapshot
from streamqueue.streams.entry_ids import entry_order
from streamqueue.streams.pending_entries import PendingEntry
from streamqueue.streams.tasks import PARKED


@dataclass(frozen=True, slots=True)
class Story:
    """`state` is one of delayed, waiting, parked, pending, acknowledged, dead, trimmed, never-seen, unknown.

    For a queue it is one of empty, waiting, working.
    """

    state: str
    sentences: tuple[str, ...]
    next: str = ""  # a command


def tell(facts: TaskFacts, spec: QueueSpec, again: str, *, chosen: bool = True) -> Story:
    """`again` is what to type after a command to mean this queue. Not `chosen`: the limits of `spec` are defaults that
    the queue's workers need not have.
    """
    story = (
        _alive(facts, spec, again, chosen) or _dead(facts, again) or _over(facts, spec) or _absent(facts, spec, again)
    )
    return Story(story.state, (*_origin(facts), *story.sentences), story.next)


def _origin(facts: TaskFacts) -> Iterator[str]:
    if not facts.entries:
        return
    first, *copies = facts.entries
    when = entry_time(first.id)
    added = f"Task {first.task}: entry {first.id}{f' was added at {when}' if when else ''}."
    if replayed := first.field("sq-replay-entry"):
        added += f" It replays entry {replayed} of stream {first.field('sq-replay-stream')}."
    yield added
    if copies:
        ids = ", ".join(entry.id for entry in copies[:5]) + (", …" if len(copies) > 5 else "")
        yield f"It came back as {ids}: each retry of a plain loop is a new entry."


def _alive(facts: TaskFacts, spec: QueueSpec, again: str, chosen: bool) -> Story | None:
    most = f" of {spec.delivery.max_deliveries}" if chosen else ""
    if facts.held and facts.held[-1].consumer_text == PARKED:
        return _parked(facts, most)
    if facts.held:
        visibility = spec.delivery.visibility_timeout if chosen else math.inf
        return _pending(facts, facts.held[-1], most, visibility, again)
    delivered = entry_order(facts.snapshot.last_delivered_id or "0-0")
    waiting = [entry for entry in facts.entries if entry_order(entry.id) > delivered]
    if not waiting and facts.delayed_until is not None:
        return Story("delayed", (f"Delayed: it enters the stream at {_clock(facts.delayed_until)}.",))
    if not waiting:
        return None
    place = "" if facts.ahead is None else f" {facts.ahead} task(s) are before it."
    attempt = waiting[-1].attempts + facts.charged + 1
    return Story(
        "waiting", (f"Waiting: entry {waiting[-1].id} is not delivered yet; that will be attempt {attempt}.{place}",)
    )


def _pending(facts: TaskFacts, held: PendingEntry, most: str, visibility: float, again: str) -> Story:
    entry = next((entry for entry in facts.entries if entry.id == held.id), None)
    idle = held.idle / 1000
    said = [f"Pending: consumer {held.consumer_text} has had entry {held.id} for {age(idle)}."]
    if entry is None:
        said.append("Its payload is gone: it was trimmed or deleted before it was acknowledged.")
        return Story("pending", tuple(said), f"streamqueue reclaim {again}")
    attempt = entry.attempts + facts.charged + 1
    said.append(f"This is attempt {attempt}{most}, delivery {held.deliveries} of this entry.")
    if idle > visibility:
        said.append(f"That is past the visibility timeout of {format_duration(visibility)}: it is due to come back.")
        return Story("pending", tuple(said), f"streamqueue reclaim {again}")
    return Story("pending", tuple(said))


def _dead(facts: TaskFacts, again: str) -> Story | None:
    if not facts.letters:
        return None
    letter = facts.letters[-1]
    when = utc_time(died_at(letter)) or letter.id
    said = (
        f"Dead since {when}: {letter.field('sq-reason')} after {letter.field('sq-attempt')} "
        f"attempt(s), the last with consumer {letter.field('sq-consumer')}; cause: {letter.field('sq-cause')}.",
        f"It is dead letter {letter.id}.",
    )
    return Story("dead", said, f"streamqueue dlq show {again} {letter.id}")


def _over(facts: TaskFacts, spec: QueueSpec) -> Story | None:
    if not facts.entries:
        return None
    said = f"Acknowledged: group {spec.group} is past entry {facts.entries[-1].id} and nobody holds it"
    return Story("acknowledged", (f"{said} (or the group was created behind it and never had it).",))


def _absent(facts: TaskFacts, spec: QueueSpec, again: str) -> Story:
    wanted, stream = facts.wanted, spec.stream
    if not facts.complete:
        return Story("unknown", (f"{wanted} is not among the first million entries that were read.",))
    if not is_entry_id(wanted):
        said = f"Stream {stream} and its dead letters hold no task {wanted}: it was never seen, or it was trimmed."
        return Story("never-seen", (said,), f"streamqueue peek {again} --newest")
    if entry_order(wanted) > entry_order(facts.last_generated):
        said = f"Never seen: stream {stream} has given no id after {facts.last_generated}."
        return Story("never-seen", (said,), f"streamqueue peek {again} --newest")
    if facts.first is None or entry_order(wanted) < entry_order(facts.first):
        oldest = f"starts at {facts.first}" if facts.first else "is empty"
        return Story("trimmed", (f"Trimmed, if it was ever there: stream {stream} {oldest}.",))
    return Story("trimmed", (f"Deleted, or never there: stream {stream} has entries around {wanted}, not this one.",))


def _parked(facts: TaskFacts, most: str) -> Story:
    attempt = (facts.entries[-1].attempts if facts.entries else 0) + facts.charged + 1
    when = f"at {_clock(facts.retry_at)}" if facts.retry_at else "when it is due"
    return Story("parked", (f"Parked: attempt {attempt}{most} comes {when}.",))


def _clock(seconds: float) -> str:
    return utc_time(seconds) or f"{seconds:.3f}"


_NO_COPY = "a retry by copy would reach all, so none is made"


def tell_queue(snapshot: Snapshot, spec: QueueSpec, again: str) -> Story:
    """What the queue is doing now."""
    some = "" if snapshot.lag_known else "at least "
    said = [f"{some}{snapshot.undelivered} task(s) wait, {snapshot.pending} are in workers' hands."]
    if snapshot.oldest_waiting_age is not None:
        said.append(f"The oldest waits for {age(snapshot.oldest_waiting_age)}, as entry {snapshot.oldest_waiting_id}.")
    busy = [view for view in snapshot.consumers if view.pending]
    for view in busy[:10]:
        said.append(f"Consumer {view.name} holds {view.pending}; its last command was {age(view.idle)} ago.")
    if len(busy) > 10:
        said.append(f"So do {len(busy) - 10} more consumers.")
    if snapshot.parked:
        said.append(f"{snapshot.parked} task(s) have failed and wait for their retry.")
    if snapshot.due:
        said.append(f"{snapshot.due} retries or delayed tasks are due.")
    elif snapshot.next_due is not None:
        said.append(f"The next retry or delayed task is due in {age(snapshot.next_due)}.")
    if snapshot.outboxed:
        said.append(f"{snapshot.outboxed} result(s) are on their way to streams that no script reaches from here.")
    if snapshot.groups > 1:
        copies = "a retry by copy reaches all" if spec.delivery.reaches_others else _NO_COPY
        said.append(f"The stream has {snapshot.groups} groups: {copies}.")
    if snapshot.dead_letters:
        said.append(f"{snapshot.dead_letters} task(s) are dead.")
        return Story(_state(snapshot), tuple(said), f"streamqueue dlq ls {again}")
    return Story(_state(snapshot), tuple(said), f"streamqueue pending {again}" if snapshot.unacknowledged else "")


def _state(snapshot: Snapshot) -> str:
    if snapshot.pending or snapshot.outboxed:
        return "working"
    return "waiting" if snapshot.undelivered or snapshot.next_due is not None else "empty"

"""Does the handler do its part: finish in time, and acknowledge?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from streamqueue.api.durations import format_duration
from streamqueue.api.spec import Protocol
from streamqueue.cli.doctor.checks.reading import ACTIVE
from streamqueue.cli.doctor.facts import Facts, StreamFacts
from streamqueue.cli.doctor.finding import Finding
from streamqueue.cli.output import age, shorten
from streamqueue.controller.pods.consumers import pod_of
from streamqueue.maintenance import Cause
from streamqueue.maintenance.attempts import overtaken
from streamqueue.streams.entries import Entry
from streamqueue.streams.entry_ids import entry_order
from streamqueue.streams.tasks import PARKED

ENOUGH = 3  # deliveries without an acknowledgement that are more than chance
_SILENT = tuple(Cause)  # of dead letters of which nobody has said anything


def never_acknowledges(facts: Facts) -> Iterator[Finding]:
    """Of the newest tasks, none that was delivered is done."""
    found, stream = facts.snapshot, facts.stream
    if not (found and stream and stream.held_complete):
        return
    # A worker of the SDK has told how it went; a container that ended could not: `dead_letters` tells of both.
    told = {letter.task for letter in stream.letters if letter.field("sq-cause") not in _SILENT}
    parked = {row.id for row in stream.held if row.consumer_text == PARKED}
    delivered = _delivered(stream, found.last_delivered_id or "0-0")
    delivered = {task: entry for task, entry in delivered.items() if task not in told and entry.id not in parked}
    held = [row for row in stream.held if row.id not in parked]
    alive = {entry.id for entry in delivered.values()} & {row.id for row in held}
    dead = {letter.task for letter in stream.letters}
    waiting = _waiting(stream, found.last_delivered_id or "0-0")
    done = [task for task, last in delivered.items() if last.id not in alive and task not in dead | waiting]
    patience = facts.configured.handler.timeout if facts.configured else ACTIVE
    longest = max((row.idle / 1000 for row in held), default=0.0)
    given_up = sum(1 for task in delivered if task in dead | waiting)
    if done or len(delivered) < ENOUGH or (longest < patience and given_up < ENOUGH):
        return
    cause = (
        f"the handler never acknowledges: of the last {len(delivered)} tasks that were delivered none is done, "
        f"{len(alive)} are pending, {len(delivered) - len(alive)} came back or died"
    )
    yield Finding(
        "never-acknowledges", cause, "call XACK (stream, group, id) when a task is done; its log may tell why"
    )


def left_behind(facts: Facts) -> Iterator[Finding]:
    """A living loop went on to other tasks after a failure, without acknowledging."""
    stream = facts.stream
    if stream is None or facts.snapshot is None or (facts.spec and facts.spec.handler.concurrency != 1):
        return
    alive = {view.name for view in facts.snapshot.consumers if view.seen_within(ACTIVE) and view.name != PARKED}
    for consumer in sorted(alive):
        rows = [row for row in stream.held if row.consumer_text == consumer]
        if left := overtaken(rows):
            cause = (
                f"consumer {consumer} left {len(left)} task(s) pending and went on reading: its handler raised, and "
                "the loop did not stop"
            )
            yield Finding(
                "left-pending", cause, f"streamqueue explain {facts.again} {left[-1].id}; read the worker's log"
            )
            return
    causes = [letter for letter in stream.letters if letter.field("sq-cause") == Cause.ABANDONED]
    if causes:
        cause = f"{len(causes)} task(s) died because the handler raised each time and left them pending"
        yield Finding("left-pending", cause, f"streamqueue dlq ls {facts.again} --reason abandoned")


def too_slow(facts: Facts) -> Iterator[Finding]:
    """Tasks that take longer than the spec says are given to a second worker while the first still works."""
    spec, stream = facts.configured, facts.stream
    if spec is None or stream is None or facts.snapshot is None:
        return
    pods = {pod["metadata"]["name"] for pod in facts.pods}
    visibility = spec.delivery.visibility_timeout
    expired = [letter for letter in stream.letters if letter.field("sq-cause") == Cause.VISIBILITY_TIMEOUT]
    mend = "raise spec.handler.timeout, and spec.delivery.visibilityTimeout to twice that times batch"
    budget = spec.handler.timeout * spec.handler.batch
    # Workers that renew do so each third of it: who is at work is not idle for long, whatever the task takes.
    renewal = 0.0 if spec.handler.protocol is Protocol.REDIS else visibility / 2
    for row in stream.held:
        if row.idle / 1000 > max(budget, renewal) and pod_of(row.consumer_text) in pods:
            cause = (
                f"a task has run for {age(row.idle / 1000)}, longer than handler.timeout x batch, "
                f"{format_duration(budget)}: after visibilityTimeout, {format_duration(visibility)}, a second worker "
                "gets it as well"
            )
            yield Finding("visibility-timeout", cause, f"{mend}; streamqueue explain {facts.again} {row.id}")
            return
    if expired:
        cause = (
            f"{len(expired)} task(s) died because they were not acknowledged within visibilityTimeout, "
            f"{format_duration(visibility)}, each time: tasks take longer, or workers hang"
        )
        yield Finding("visibility-timeout", cause, mend)


def dead_letters(facts: Facts) -> Iterator[Finding]:
    found = facts.stream.snapshot if facts.stream else None
    if not (found and found.dead_letters):
        return
    assert facts.stream
    told = (letter.field("sq-cause") or letter.field("sq-reason") or "?" for letter in facts.stream.letters)
    causes = Counter(shorten(cause, 100) for cause in told)
    said = ", ".join(f"{count} x {cause}" for cause, count in causes.most_common(3))
    cause = f"{found.dead_letters} dead letter(s); the newest by cause: {said}"
    most = facts.configured.delivery.dead_letter_max_length if facts.configured else None
    if most is not None and found.dead_letters >= most:
        cause += f"; delivery.deadLetter.maxLength ({most}) is reached: further tasks stay pending until there is room"
    yield Finding(
        "dead-letters", cause, f"streamqueue dlq ls {facts.again}; once mended: streamqueue dlq redrive {facts.again}"
    )


def _delivered(stream: StreamFacts, last: str) -> dict[str, Entry]:
    """The last delivered entry of each task in the tail."""
    return {entry.task: entry for entry in stream.tail if entry_order(entry.id) <= entry_order(last)}


def _waiting(stream: StreamFacts, last: str) -> set[str]:
    return {entry.task for entry in stream.tail if entry_order(entry.id) > entry_order(last)}

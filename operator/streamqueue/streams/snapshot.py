"""One look at many queues: counters and ids, one pipeline, one script call per queue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any, NamedTuple

from redis.asyncio import Redis
from redis.exceptions import NoScriptError

from streamqueue.api.keys import Keys, StreamKeys
from streamqueue.streams.connection import send_many
from streamqueue.streams.errors import ProblemKind, RedisProblem, classify
from streamqueue.streams.script import Script
from streamqueue.streams.tasks import PARKED

CONSUMER_CAP = 1000
PIPELINE = 2000  # script calls in flight at once: bounds the buffers for their replies

_SCRIPT = Script.beside(__package__, "clock.lua", "fields.lua", "needs.lua", "snapshot.lua")


class LagRule(StrEnum):
    """How the number of undelivered entries was found."""

    DRAINED = "drained"  # nothing after the last delivered entry: 0
    WHOLE = "whole"  # nothing delivered that is still there: the stream's length
    SERVER = "server"  # the server's `lag`, where it can be trusted (Redis 8.0 and later)
    COUNTED = "counted"  # entries after the last delivered one, counted
    SATURATED = "saturated"  # counting stopped at the cap: at least so many
    ABSENT = "absent"  # no stream or no group


@dataclass(frozen=True, slots=True)
class SnapshotRequest:
    """Which queue to look at.

    `cap` bounds counting where the server's own count cannot be trusted. Without `everyone` the answer holds only the
    consumers that have entries in hand, and not how long they have been idle: half the work for the server.
    """

    stream: str
    group: str
    cap: int = 1000
    everyone: bool = True


class ConsumerView(NamedTuple):
    """A consumer: entries in its hands, and seconds since its last command (before Redis 7.2: its last read).

    `idle` is None where it was not asked for.
    """

    name: str
    pending: int
    idle: float | None

    def seen_within(self, seconds: float) -> bool:
        """Whether it is known to have been heard of in the last `seconds`."""
        return self.idle is not None and self.idle < seconds


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A queue as Redis saw it in one instant. Ages are seconds by Redis's clock; None is unknown.

    A missing stream or group gives zeros with `stream_exists` or `group_exists` False; errors never become a Snapshot.
    """

    time: float  # server clock, unix seconds
    stream_exists: bool
    group_exists: bool
    length: int = 0
    groups: int = 0
    undelivered: int = 0  # exact where `lag_known`, else a lower bound
    lag_rule: LagRule = LagRule.ABSENT
    pending: int = 0  # in the hands of workers
    # Retries and delayed tasks of the SDK. They are in nobody's hands: `due` ones are work as `undelivered` ones are.
    parked: int = 0  # retries whose time has not come
    due: int = 0  # retries and delayed tasks whose time has come
    delayed_due: int = 0  # the delayed tasks among them: in the stream they will be new entries
    oldest_due_age: float | None = None  # seconds for which the first of them has been due
    outboxed: int = 0  # results on their way to other streams: work in hand until a relay has delivered them
    next_due: float | None = None  # seconds until the next of them is due, 0 where one is; None without any
    unacknowledged: int = 0  # the group's whole pending entries list: in hands, and parked retries due or not
    consumers: tuple[ConsumerView, ...] = ()  # who has entries in hand; with `everyone` the others after them
    consumers_total: int = 0  # how many they are; at most CONSUMER_CAP of them are in `consumers`
    # The next entry to be delivered. Its age counts from the task's first enqueue, also for a retry's copy; None where
    # nothing waits or the producer's ids are no times.
    oldest_waiting_id: str | None = None
    oldest_waiting_age: float | None = None
    # Seconds since the last delivery of the pending entry with the smallest id. An entry with a greater id may have
    # been delivered earlier; finding it would mean reading the whole pending entries list.
    oldest_pending_age: float | None = None
    oldest_pending_id: str | None = None  # the smallest, parked retries among them
    first_id: str | None = None  # of the stream; None where it is empty
    last_deleted_id: str | None = None  # the greatest id that XDEL removed, 0-0 without one; Redis >= 7.0
    entries_added: int | None = None  # Redis >= 7.0
    entries_read: int | None = None  # Redis >= 7.0, where the server knows it
    last_delivered_id: str | None = None
    dead_letters: int | None = None
    trim_blockers: tuple[str, ...] = ()  # at most 8 other groups that still need entries this group is done with
    # The first entry that these still need, where nothing before it is left to trim.
    kept_id: str | None = None
    uncounted_returns: int = 0  # that maintenance made from consumers not known to be dead: see maintenance.returns

    @property
    def lag_known(self) -> bool:
        return self.lag_rule is not LagRule.SATURATED

    @property
    def retrying(self) -> int:
        """Tasks that failed and wait for their next attempt, due or not."""
        return self.unacknowledged - self.pending

    @property
    def holders_known(self) -> bool:
        """Whether `consumers` names all that have entries in hand: where it was cut, they come first."""
        return self.consumers_total <= len(self.consumers) or not self.consumers[-1].pending


async def take_snapshots(client: Redis, requests: Sequence[SnapshotRequest]) -> list[Snapshot | RedisProblem]:
    """A Snapshot or the problem for each request, in order. Raises nothing; writes nothing."""
    answers: list[Snapshot | RedisProblem] = []
    for start in range(0, len(requests), PIPELINE):
        answers += await _take(client, requests[start : start + PIPELINE])
    return answers


async def take_snapshot(client: Redis, request: SnapshotRequest) -> Snapshot:
    """One alone. Raises RedisProblem."""
    (answer,) = await take_snapshots(client, [request])
    if isinstance(answer, RedisProblem):
        raise answer
    return answer


async def _take(client: Redis, requests: Sequence[SnapshotRequest]) -> list[Snapshot | RedisProblem]:
    commands = [_command(request) for request in requests]
    sendable = [command for command in commands if not isinstance(command, RedisProblem)]
    try:
        replies = await _send(client, sendable)
    except RedisProblem as problem:
        replies = [problem] * len(sendable)
    remaining = iter(replies)
    return [command if isinstance(command, RedisProblem) else _answer(next(remaining)) for command in commands]


async def _send(client: Redis, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
    replies = await send_many(client, commands, _parse)
    missed = [i for i, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
    if missed:
        await _SCRIPT.load(client)
        for i, reply in zip(missed, await send_many(client, [commands[i] for i in missed], _parse), strict=True):
            replies[i] = reply
    return replies


def _command(request: SnapshotRequest) -> tuple[Any, ...] | RedisProblem:
    try:
        names = _keys(request.stream, request.group)
    except ValueError as exc:
        return RedisProblem(ProblemKind.OTHER, str(exc))
    return _SCRIPT.command(names, (request.group, request.cap, CONSUMER_CAP, PARKED, int(request.everyone)))


@lru_cache(maxsize=20_000)
def _keys(stream: str, group: str) -> tuple[str, ...]:
    keys = Keys(stream, group)
    return keys.stream, keys.dlq, keys.due, StreamKeys(stream).delayed, keys.outboxes, keys.returns


def _answer(found: Snapshot | RedisProblem | BaseException) -> Snapshot | RedisProblem:
    return classify(found) if isinstance(found, BaseException) else found


def _parse(reply: Sequence[Any]) -> Snapshot | RedisProblem:
    kind, now, dead, outboxed = reply[0], reply[1] / 1000, _known(reply[2]), reply[3]
    if kind == b"none":
        return Snapshot(time=now, stream_exists=False, group_exists=False, outboxed=outboxed, dead_letters=dead)
    if kind != b"stream":
        return RedisProblem(ProblemKind.WRONG_TYPE)
    length, groups, added = reply[4], reply[5], _known(reply[6])
    if len(reply) == 7:
        return Snapshot(
            time=now,
            stream_exists=True,
            group_exists=False,
            length=length,
            groups=groups,
            outboxed=outboxed,
            entries_added=added,
            dead_letters=dead,
        )
    count, rule, pending, consumers_total, delivered, read, waiting, since, idle, consumers, blockers = reply[7:18]
    parked, due_retries, due_delayed, next_due, overdue, smallest, first, deleted, returns, kept = reply[18:]
    return Snapshot(
        time=now,
        stream_exists=True,
        group_exists=True,
        length=length,
        groups=groups,
        undelivered=count,
        lag_rule=LagRule(rule.decode()),
        pending=pending,
        parked=max(0, parked - due_retries),
        due=due_retries + due_delayed,
        delayed_due=due_delayed,
        oldest_due_age=_seconds(overdue),
        outboxed=outboxed,
        next_due=_seconds(next_due),
        unacknowledged=pending + parked,
        consumers=tuple(map(_view, consumers)),
        consumers_total=consumers_total,
        oldest_waiting_id=waiting.decode() or None,
        oldest_waiting_age=max(0.0, now - since / 1000) if since >= 0 else None,
        oldest_pending_age=_seconds(idle),
        oldest_pending_id=smallest.decode() or None,
        first_id=first.decode() or None,
        last_deleted_id=deleted.decode() or None,
        entries_added=added,
        entries_read=_known(read),
        last_delivered_id=delivered.decode(),
        dead_letters=dead,
        trim_blockers=tuple(_text(name) for name in blockers),
        kept_id=kept.decode() or None,
        uncounted_returns=returns,
    )


def _view(row: Sequence[Any]) -> ConsumerView:
    name, pending, *idle = row
    return ConsumerView(_text(name), int(pending), idle[0] / 1000 if idle else None)


def _known(number: int) -> int | None:
    return number if number >= 0 else None


def _seconds(milliseconds: int) -> float | None:
    return milliseconds / 1000 if milliseconds >= 0 else None


def _text(name: bytes) -> str:
    return name.decode("utf-8", "replace")

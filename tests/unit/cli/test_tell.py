"""Explain's sentences where a real server can't easily be brought to it."""

from __future__ import annotations

from typing import Any

import pytest

from streamqueue.api.parse import parse_spec
from streamqueue.cli.following.facts import TaskFacts
from streamqueue.cli.following.tell import tell, tell_queue
from streamqueue.streams import ConsumerView, LagRule
from streamqueue.streams.entries import Entry
from streamqueue.streams.pending_entries import PendingEntry
from streamqueue.streams.tasks import PARKED
from tests.unit.cli.build import NOW, snapshot, spec

SPEC = parse_spec(spec())


def entry(entry_id: str, attempts: int = 0, **fields: str) -> Entry:
    told = {"sq-id": "order-1", "sq-attempt": str(attempts), **fields}
    return Entry(entry_id, {name.encode(): value.encode() for name, value in told.items()})


def held(entry_id: str, idle: float, consumer: str = "pod-1") -> tuple[PendingEntry, ...]:
    return (PendingEntry(entry_id, consumer.encode(), int(idle * 1000), 0, 3),)


FIRST = "Task order-1: entry 5-0."
RETRIED = (FIRST, "It came back as 7-0: each retry of a plain loop is a new entry.")
TWO = (entry("5-0"), entry("7-0", 1))
LATER = (entry("1767225600000-0", 2),)  # not delivered yet
DEAD = {"sq-reason": "crash", "sq-attempt": "5", "sq-consumer": "pod-1", "sq-cause": "OOMKilled", "sq-dead-at": "17"}


@pytest.mark.parametrize(
    ("facts", "state", "sentences", "then"),
    [
        (
            {"entries": LATER, "charged": 1, "ahead": 3, "delayed_until": NOW},
            "waiting",
            (
                "Task order-1: entry 1767225600000-0 was added at 2026-01-01T00:00:00.000Z.",
                "Waiting: entry 1767225600000-0 is not delivered yet; that will be attempt 4. 3 task(s) are before it.",
            ),
            "",
        ),
        (
            {"entries": (*TWO, entry("11-0", 2))},
            "waiting",
            (
                FIRST,
                "It came back as 7-0, 11-0: each retry of a plain loop is a new entry.",
                "Waiting: entry 11-0 is not delivered yet; that will be attempt 3.",
            ),
            "",
        ),
        ({"delayed_until": NOW}, "delayed", ("Delayed: it enters the stream at 2026-01-01T01:00:00.000Z.",), ""),
        (
            {"entries": TWO, "held": held("7-0", 300.0), "charged": 1},
            "pending",
            (
                *RETRIED,
                "Pending: consumer pod-1 has had entry 7-0 for 5m.",
                "This is attempt 3 of 5, delivery 3 of this entry.",
            ),
            "",
        ),
        (
            {"entries": TWO, "held": held("7-0", 301.0)},
            "pending",
            (
                *RETRIED,
                "Pending: consumer pod-1 has had entry 7-0 for 5m1s.",
                "This is attempt 2 of 5, delivery 3 of this entry.",
                "That is past the visibility timeout of 5m: it is due to come back.",
            ),
            "streamqueue reclaim orders",
        ),
        (
            {"entries": TWO[:1], "held": held("7-0", 9.0)},
            "pending",
            (
                FIRST,
                "Pending: consumer pod-1 has had entry 7-0 for 9s.",
                "Its payload is gone: it was trimmed or deleted before it was acknowledged.",
            ),
            "streamqueue reclaim orders",
        ),
        (
            {"entries": TWO, "held": held("7-0", 9.0, PARKED), "charged": 1, "retry_at": NOW},
            "parked",
            (*RETRIED, "Parked: attempt 3 of 5 comes at 2026-01-01T01:00:00.000Z."),
            "",
        ),
        (
            {"held": held("7-0", 9.0, PARKED), "charged": 1},
            "parked",
            ("Parked: attempt 2 of 5 comes when it is due.",),
            "",
        ),
        (
            {"entries": TWO, "letters": (entry("8-0"), entry("9-0", **DEAD))},
            "dead",
            (
                *RETRIED,
                "Dead since 9-0: crash after 5 attempt(s), the last with consumer pod-1; cause: OOMKilled.",
                "It is dead letter 9-0.",
            ),
            "streamqueue dlq show orders 9-0",
        ),
        (
            {"entries": TWO},
            "acknowledged",
            (
                *RETRIED,
                "Acknowledged: group workers is past entry 7-0 and nobody holds it (or the group was created behind it "
                "and never had it).",
            ),
            "",
        ),
        (
            {},
            "never-seen",
            ("Stream orders and its dead letters hold no task order-1: it was never seen, or it was trimmed.",),
            "streamqueue peek orders --newest",
        ),
        (
            {"wanted": "8-0", "last_generated": "7-0"},
            "never-seen",
            ("Never seen: stream orders has given no id after 7-0.",),
            "streamqueue peek orders --newest",
        ),
        (
            {"wanted": "8-0", "last_generated": "9-0", "first": "9-0"},
            "trimmed",
            ("Trimmed, if it was ever there: stream orders starts at 9-0.",),
            "",
        ),
        (
            {"wanted": "8-0", "last_generated": "9-0"},
            "trimmed",
            ("Trimmed, if it was ever there: stream orders is empty.",),
            "",
        ),
        (
            {"wanted": "8-0", "last_generated": "8-0", "first": "8-0"},
            "trimmed",
            ("Deleted, or never there: stream orders has entries around 8-0, not this one.",),
            "",
        ),
    ],
)
def test_each_state_is_told_with_its_numbers(
    facts: dict[str, Any], state: str, sentences: tuple[str, ...], then: str
) -> None:
    story = tell(TaskFacts(**{"wanted": "order-1", "snapshot": snapshot(), **facts}), SPEC, "orders")
    assert (story.state, story.sentences, story.next) == (state, sentences, then)


def test_a_replay_names_its_origin_and_of_many_copies_the_first_five_are_named() -> None:
    copies = tuple(entry(f"{n}-0") for n in range(2, 9))
    replayed = entry("1-0", **{"sq-replay-entry": "3-3", "sq-replay-stream": "paid"})
    story = tell(TaskFacts(wanted="1-0", snapshot=snapshot(), entries=(replayed, *copies)), SPEC, "orders")
    assert story.sentences[:2] == (
        "Task order-1: entry 1-0. It replays entry 3-3 of stream paid.",
        "It came back as 2-0, 3-0, 4-0, 5-0, 6-0, …: each retry of a plain loop is a new entry.",
    )
    story = tell(TaskFacts(wanted="1-0", snapshot=snapshot(), entries=(replayed, *copies[:5])), SPEC, "orders")
    assert "4-0, 5-0, 6-0: each" in story.sentences[1]


def test_a_stream_too_long_to_be_read_is_no_verdict() -> None:
    facts = TaskFacts(wanted="order-1", snapshot=snapshot(), complete=False)
    assert tell(facts, SPEC, "orders").state == "unknown"


def test_past_the_visibility_timeout_names_the_sweep() -> None:
    facts = TaskFacts(
        wanted="5-0",
        snapshot=snapshot(),
        entries=(Entry("5-0", {b"sq-attempt": b"2"}),),
        held=(PendingEntry("5-0", b"pod-1", 301_000, 0, 1),),
    )
    story = tell(facts, SPEC, "orders")
    assert story.state == "pending" and story.next == "streamqueue reclaim orders"
    assert "attempt 3 of 5" in " ".join(story.sentences)
    straight = tell(facts, SPEC, "orders", chosen=False)  # which knows the queue's limits from nobody
    assert straight.next == "" and "attempt 3, delivery 1" in " ".join(straight.sentences)


@pytest.mark.parametrize(
    ("letter_id", "dead_at", "since"),
    [
        ("5-0", b"1767225600000", "2026-01-01T00:00:00.000Z"),
        ("1767225600000-0", b"yesterday", "2026-01-01T00:00:00.000Z"),
        ("1767225600000-0", b"9" * 5000, "2026-01-01T00:00:00.000Z"),
        ("1767225600000-0", None, "2026-01-01T00:00:00.000Z"),
        ("5-0", None, "5-0"),
    ],
)
def test_a_letter_that_somebody_wrote_by_hand_is_told_of_too(letter_id: str, dead_at: bytes | None, since: str) -> None:
    letter = Entry(letter_id, {b"sq-id": b"order-1"} | ({b"sq-dead-at": dead_at} if dead_at else {}))
    story = tell(TaskFacts(wanted="order-1", snapshot=snapshot(), letters=(letter,)), SPEC, "orders")
    assert story.state == "dead" and story.sentences[0].startswith(f"Dead since {since}: ")


def test_whether_copies_reach_other_groups_is_said() -> None:
    told = {
        choice: " ".join(
            tell_queue(snapshot(groups=2), parse_spec(spec(delivery={"requeue": choice})), "orders").sentences
        )
        for choice in ("single-group", "all-groups")
    }
    assert "so none is made" in told["single-group"]
    assert "a retry by copy reaches all." in told["all-groups"]


def test_a_lower_bound_is_said_to_be_one() -> None:
    story = tell_queue(snapshot(undelivered=1000, lag_rule=LagRule.SATURATED, outboxed=7), SPEC, "orders")
    assert story.sentences[-1].startswith("7 result(s) are on their way")
    assert story.sentences[0].startswith("at least 1000 task(s) wait")


def test_a_busy_queue_is_told_with_its_numbers() -> None:
    views = tuple(ConsumerView(f"pod-{n}", n, 90.0) for n in range(13))
    counters = {"undelivered": 4, "pending": 78, "oldest_waiting_age": 61.0, "oldest_waiting_id": "11-0", "groups": 3}
    story = tell_queue(snapshot(**counters, consumers=views, dead_letters=5), SPEC, "orders")
    assert (story.state, story.next) == ("working", "streamqueue dlq ls orders")
    assert story.sentences == (
        "4 task(s) wait, 78 are in workers' hands.",
        "The oldest waits for 1m1s, as entry 11-0.",
        *(f"Consumer pod-{n} holds {n}; its last command was 1m30s ago." for n in range(1, 11)),
        "So do 2 more consumers.",
        "The stream has 3 groups: a retry by copy would reach all, so none is made.",
        "5 task(s) are dead.",
    )
    ten = tell_queue(snapshot(undelivered=4, consumers=views[:11]), SPEC, "orders")
    assert (ten.state, ten.next) == ("waiting", "")
    assert "more consumers" not in " ".join(ten.sentences)


def test_retries_and_delayed_tasks_are_told_of() -> None:
    parked = tell_queue(snapshot(parked=3, next_due=90.0, unacknowledged=3), SPEC, "orders")
    assert parked.sentences == (
        "0 task(s) wait, 0 are in workers' hands.",
        "3 task(s) have failed and wait for their retry.",
        "The next retry or delayed task is due in 1m30s.",
    )
    assert (parked.state, parked.next) == ("waiting", "streamqueue pending orders")
    due = tell_queue(snapshot(due=2, delayed_due=1, next_due=0.0), SPEC, "orders")
    assert (due.state, due.sentences[1]) == ("waiting", "2 retries or delayed tasks are due.")
    assert tell_queue(snapshot(outboxed=1), SPEC, "orders").state == "working"
    assert tell_queue(snapshot(), SPEC, "orders").state == "empty"

"""Explain's sentences where a real server can't easily be brought to it."""

from __future__ import annotations

import pytest

from streamqueue.api.parse import parse_spec
from streamqueue.cli.following.facts import TaskFacts
from streamqueue.cli.following.tell import tell, tell_queue
from streamqueue.streams import LagRule
from streamqueue.streams.entries import Entry
from streamqueue.streams.pending_entries import PendingEntry
from tests.unit.cli.build import snapshot, spec

SPEC = parse_spec(spec())


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

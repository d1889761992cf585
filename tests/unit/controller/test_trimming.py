"""What a producer's own trimming took: told where the server's counters prove it, never guessed."""

from __future__ import annotations

from typing import Any

import pytest

from streamqueue.controller.status.trimming import SAID_FOR, Trimming, lost_pending, lost_undelivered
from streamqueue.streams import LagRule, Snapshot

WAITING = {"undelivered": 10, "entries_added": 100, "entries_read": 90, "last_delivered_id": "90-0"}


def look(**changes: Any) -> Snapshot:
    values = {"last_deleted_id": "0-0", "first_id": "1-0", **WAITING, **changes}
    return Snapshot(time=0.0, stream_exists=True, group_exists=True, **values)


def test_what_vanished_while_nobody_read_was_trimmed() -> None:
    assert lost_undelivered(look(), look(undelivered=7)) == 3
    assert lost_undelivered(look(), look(undelivered=10, entries_added=105)) == 5


def test_before_the_groups_first_read_there_is_no_count_of_reads_and_none_is_needed() -> None:
    assert lost_undelivered(look(entries_read=None), look(entries_read=None, undelivered=7)) == 3


def test_what_vanished_before_the_group_read_on_was_trimmed() -> None:
    """It reads 1 entry after 4 were trimmed: the server counts one read, and the rest don't wait."""
    read_on = look(undelivered=5, entries_read=91, last_delivered_id="95-0")
    assert lost_undelivered(look(), read_on) == 4
    assert lost_undelivered(read_on, read_on) == 0


def test_reading_and_adding_lose_nothing() -> None:
    assert lost_undelivered(look(), look()) == 0
    assert lost_undelivered(look(), look(undelivered=30, entries_added=120)) == 0
    assert lost_undelivered(look(), look(undelivered=0, entries_read=100, last_delivered_id="100-0")) == 0
    assert lost_undelivered(look(), look(undelivered=12)) == 0, "more than came: a loss is never negative"


def test_what_vanished_before_is_no_loss_again_with_each_read() -> None:
    hole = {"undelivered": 5, "entries_read": 91, "last_delivered_id": "95-0"}  # 4 that nobody read
    assert lost_undelivered(look(**hole), look(undelivered=4, entries_read=92, last_delivered_id="96-0")) == 0
    assert lost_undelivered(look(**hole), look(undelivered=2, entries_read=92, last_delivered_id="98-0")) == 2
    assert lost_undelivered(look(**hole), look(undelivered=4, entries_read=94, last_delivered_id="96-0")) == 0


@pytest.mark.parametrize(
    "doubt",
    [
        {"last_deleted_id": "95-0"},  # deleted by hand, though not delivered
        {"last_deleted_id": None, "entries_added": None, "entries_read": None},  # Redis 6
        {"lag_rule": LagRule.SATURATED},
        {"entries_added": 4},  # the stream was made anew
        {"last_delivered_id": "80-0"},  # XGROUP SETID
        {"last_delivered_id": "95-0", "entries_read": None},
        {"last_delivered_id": None},  # the group is gone
    ],
)
def test_where_it_might_be_something_else_nothing_is_said(doubt: dict[str, Any]) -> None:
    assert lost_undelivered(look(), look(undelivered=1)) == 9
    assert lost_undelivered(look(), look(**{"undelivered": 1, **doubt})) == 0
    assert lost_undelivered(look(last_delivered_id=None), look(undelivered=1)) == 0, "it was made meanwhile"


def test_a_count_of_reads_that_cant_be_right_is_no_measure() -> None:
    garbage = look(entries_read=99)
    assert lost_undelivered(garbage, look(undelivered=5, entries_read=91, last_delivered_id="95-0")) == 0


def test_deleting_what_was_delivered_hides_nothing() -> None:
    for deleted in ("70-0", "90-0"):
        assert lost_undelivered(look(last_deleted_id="60-0"), look(undelivered=7, last_deleted_id=deleted)) == 3


@pytest.mark.parametrize(
    ("found", "lost"),
    [
        ({"oldest_pending_id": "5-0", "first_id": "9-0"}, True),
        ({"oldest_pending_id": "5-0", "first_id": None}, True),
        ({"oldest_pending_id": "5-0", "first_id": "9-0", "last_deleted_id": "7-0"}, False),  # or deleted
        ({"oldest_pending_id": "5-0", "first_id": "9-0", "last_deleted_id": "5-0"}, False),
        ({"oldest_pending_id": "5-0", "first_id": "9-0", "last_deleted_id": None}, False),  # Redis 6
        ({"oldest_pending_id": "5-0", "first_id": "5-0"}, False),
        ({"oldest_pending_id": "10-0", "first_id": "9-0"}, False),
        ({"oldest_pending_id": None, "first_id": "9-0"}, False),
    ],
)
def test_a_pending_entry_below_the_first_was_trimmed(found: dict[str, Any], lost: bool) -> None:
    assert lost_pending(look(**found)) is lost


def test_losses_are_said_for_a_while() -> None:
    trimming = Trimming()
    assert trimming.note(0, now=0.0) == 0
    assert trimming.note(3, now=10.0) == 3
    assert trimming.note(2, now=20.0) == 5
    assert trimming.note(0, now=20.0 + SAID_FOR) == 5
    assert trimming.note(0, now=21.0 + SAID_FOR) == 0

"""Where a missing group begins."""

from __future__ import annotations

from typing import Any

import pytest

from streamqueue.controller.groups import beginning
from streamqueue.streams import Snapshot
from streamqueue.streams.entry_ids import entry_order, predecessor, successor

START = "$"
GONE = Snapshot(time=0.0, stream_exists=False, group_exists=False)


def look(**found: Any) -> Snapshot:
    return Snapshot(time=0.0, stream_exists=True, **({"group_exists": True, "last_delivered_id": "70-1"} | found))


def without(added: int | None) -> Snapshot:
    return look(group_exists=False, last_delivered_id=None, entries_added=added)


@pytest.mark.parametrize(
    ("before", "now", "begins"),
    [
        (None, without(9), START),
        (without(9), without(9), START),
        (look(entries_added=9), without(9), "70-1"),
        (look(entries_added=9, oldest_pending_id="60-2"), without(12), "60-1"),
        (look(entries_added=9, oldest_pending_id="60-2"), without(1), "0"),
        (look(entries_added=9), GONE, "0"),
        (look(), without(None), "70-1"),
        (look(), GONE, "0"),
    ],
)
def test_it_goes_on_where_it_stood_unless_the_stream_is_another(
    before: Snapshot | None, now: Snapshot, begins: str
) -> None:
    assert beginning(before, now, START) == begins


@pytest.mark.parametrize("entry", ["5-1", "5-0", "1-0", "0-1"])
def test_nothing_lies_between_an_id_and_the_one_before_it(entry: str) -> None:
    assert successor(predecessor(entry)) == entry
    assert entry_order(predecessor(entry)) < entry_order(entry)

"""What a pass tells people, in one line."""

from __future__ import annotations

from typing import Any

import pytest

from streamqueue.maintenance import SweepReport

ABSENT = "nothing to do: the stream or the group does not exist yet"


@pytest.mark.parametrize(
    ("did", "told"),
    [
        ({}, "nothing to return"),
        ({"missing": True}, ABSENT),
        ({"missing": True, "promoted": 2}, "2 delayed tasks that came due"),
        ({"missing": True, "relayed": 2}, "2 results relayed"),
        ({"missing": True, "stuck": ("paid",)}, "nothing to return; results wait in the outbox for paid"),
        ({"returned": 1, "trim_blocked_by": ("audit",)}, "1 returned; trim blocked by audit"),
    ],
    ids=str,
)
def test_what_was_done_is_told_also_of_a_group_that_is_gone(did: dict[str, Any], told: str) -> None:
    """Its outbox outlives it."""
    assert SweepReport(**did).summary() == told

"""Of many consumers some are left out: who holds entries comes first."""

from __future__ import annotations

from typing import Any

import pytest

from streamqueue.streams import Snapshot
from streamqueue.streams.snapshot import ConsumerView


@pytest.mark.parametrize(
    ("pending", "total", "known"),
    [((), 0, True), ((2, 1), 2, True), ((2, 1, 0), 5, True), ((2, 1), 5, False)],
    ids=["none", "all", "idle ones cut", "holders cut"],
)
def test_a_list_that_lacks_idle_consumers_alone_still_has_all_holders(
    pending: tuple[int, ...], total: int, known: bool
) -> None:
    """A fleet of many processes leaves a thousand names an hour; whoever isn't listed then holds nothing."""
    more: dict[str, Any] = {"consumers": tuple(ConsumerView(f"c{n}", n, 1.0) for n in pending)}
    snapshot = Snapshot(0.0, stream_exists=True, group_exists=True, consumers_total=total, **more)
    assert snapshot.holders_known is known

"""Which of the entries that a worker leaves behind were begun: those pay an attempt."""

from __future__ import annotations

import pytest

from streamqueue.maintenance.attempts import started
from streamqueue.streams.pending_entries import PendingEntry


def held(*delivered_at: int, consumer: bytes = b"pod-1") -> list[PendingEntry]:
    """Entries 1-0, 2-0 and so on, by when each was handed over."""
    return [PendingEntry(f"{n}-0", consumer, 0, at, 1) for n, at in enumerate(delivered_at, 1)]


@pytest.mark.parametrize(
    ("times", "concurrency", "begun"),
    [
        ([0, 40, 80], 1, "1"),  # one read, of which Redis before 7.2 stamps each entry by itself
        ([0, 40, 200], 1, "123"),  # two reads: of the first all had been begun
        ([0, 40, 80, 300, 340], 2, "1245"),  # two reads: with concurrency the second proves nothing of the third entry
    ],
)
def test_a_batch_is_begun_in_order_and_one_that_reads_again_has_begun_it_all(
    times: list[int], concurrency: int, begun: str
) -> None:
    ids = started(held(*times), concurrency=concurrency, batch=3, own_consumer=True)
    assert ids == {f"{n}-0" for n in begun}

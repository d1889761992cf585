"""Which of a consumer's pending entries were started, and so are charged an attempt. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from streamqueue.streams.pending_entries import PendingEntry

# Entries of one XREADGROUP carry one delivery time; before Redis 7.2 each carries its own, milliseconds apart.
BATCH_SPREAD = 50  # ms
MARGIN = 1000  # ms: deliveries that are further apart came from two reads


def started(entries: Iterable[PendingEntry], *, concurrency: int, batch: int, own_consumer: bool) -> set[str]:
    """Ids of the entries whose handler must have begun.

    A loop works its batch in order and `concurrency` at a time, so that of what is left of a batch only the lowest ids
    were in hand. Where the consumer is one process (`own_consumer`) with concurrency 1, having read a later batch also
    proves that every earlier one was begun to the end.
    """
    by_consumer: dict[bytes, list[PendingEntry]] = defaultdict(list)
    for entry in entries:
        by_consumer[entry.consumer].append(entry)
    ids: set[str] = set()
    for held in by_consumer.values():
        batches = _batches(held)
        for i, members in enumerate(batches):
            read_again = own_consumer and concurrency == 1 and i < len(batches) - 1
            every = read_again or batch <= concurrency
            members.sort(key=lambda entry: entry.order)
            ids.update(entry.id for entry in (members if every else members[:concurrency]))
    return ids


def overtaken(held: Sequence[PendingEntry], last_command: int | None = None) -> list[PendingEntry]:
    """Entries that a consumer of concurrency 1 has left behind: it has read again since.

    Evidence is either a later delivery (by more than MARGIN) of an entry with a greater id: a greater id tells a
    new read from a renewal of what is in hand; or a command of the consumer (`last_command`, ms by Redis's clock) after
    the newest delivery of all.
    """
    newest = max((entry.delivered_at for entry in held), default=0)
    if last_command is not None and last_command > newest + MARGIN:
        return list(held)
    left = []
    latest = 0
    for entry in sorted(held, key=lambda entry: entry.order, reverse=True):
        if latest > entry.delivered_at + MARGIN:
            left.append(entry)
        latest = max(latest, entry.delivered_at)
    return left


def _batches(entries: list[PendingEntry]) -> list[list[PendingEntry]]:
    batches: list[list[PendingEntry]] = []
    for entry in sorted(entries, key=lambda entry: entry.delivered_at):
        if batches and entry.delivered_at - batches[-1][-1].delivered_at <= BATCH_SPREAD:
            batches[-1].append(entry)
        else:
            batches.append([entry])
    return batches

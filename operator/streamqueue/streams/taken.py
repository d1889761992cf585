"""What a worker took: tasks in its hands, fenced by the token that they were taken under."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any, NamedTuple

from streamqueue.streams.entries import count_of, fields_of
from streamqueue.streams.entry_ids import YEAR_2000

# Half of the time that a named tuple takes to be made by its name: there is one for each task.
_made = tuple.__new__


class Taken(NamedTuple):
    """A task in this worker's hands, fenced by `token`. `attempts` were charged before, `crashes` killed a worker.

    `deliveries` counts this one, and those that were not charged.
    """

    id: str
    token: str
    fields: dict[bytes, bytes]
    attempts: int
    crashes: int
    deliveries: int = 1

    @property
    def enqueued_ms(self) -> float:
        """Unix ms at which the task was added, or due; 0.0 if the producer's ids are no times."""
        said = self.fields.get(b"sq-enqueued-at") or self.id.partition("-")[0]
        value = float(said) if said.isdigit() else 0.0  # int() takes twice as long for so many digits
        return value if value >= YEAR_2000 else 0.0


class NewEntries:
    """Entries that were delivered for the first time, taken together under one token.

    Kept in columns, since an object for each costs more than a small task does: `ids` are separated by blanks, each of
    `rows` is names and values in turn. `entries()` makes the objects.
    """

    def __init__(self, ids: bytes, rows: Sequence[Sequence[bytes]], token: str) -> None:
        self.token = token
        self.ids = ids
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def fields(self) -> list[dict[bytes, bytes]]:
        return [{flat[0]: flat[1]} if len(flat) == 2 else fields_of(flat) for flat in self.rows]

    def enqueued_ms(self) -> list[float]:
        """What `Taken.enqueued_ms` is for each entry, or up to a millisecond more."""
        if max(map(len, self.rows)) > 2 and b"sq-enqueued-at" in chain.from_iterable(self.rows):
            return [entry.enqueued_ms for entry in self.entries()]
        times = list(map(float, self.ids.replace(b"-", b".").split()))
        return times if times[0] >= YEAR_2000 else [time if time >= YEAR_2000 else 0.0 for time in times]  # they ascend

    def entries(self) -> list[Taken]:
        """An entry that is new was charged no attempts, but those that a retry's copy carries along."""
        entries = []
        for entry_id, fields in zip(self.ids.decode().split(), self.fields(), strict=True):
            attempts = count_of(fields.get(b"sq-attempt"))
            entries.append(_made(Taken, (entry_id, self.token, fields, attempts, 0, 1)))
        return entries


def entry_of(row: Any, token: str) -> Taken:
    """Of what was delivered before: a row of task_adopt.lua, task_claim.lua, or task_exchange.lua's retries."""
    entry_id, flat, attempts, crashes, deliveries = row
    return Taken(entry_id.decode(), token, fields_of(flat), attempts, crashes, deliveries)

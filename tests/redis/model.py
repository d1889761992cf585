"""What a stream with consumer groups is, in the simplest terms: the model that servers are compared with."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


def order(entry_id: str) -> tuple[int, ...]:
    """Ids sort as pairs of numbers."""
    return tuple(int(part) for part in entry_id.split("-"))


@dataclass
class Group:
    delivered: tuple[int, ...]  # the last delivered id
    pending: dict[str, str] = field(default_factory=dict)  # entry id: consumer


@dataclass
class Stream:
    """`entries` maps ids to tasks, in order."""

    entries: dict[str, str] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    last: tuple[int, ...] = (0, 0)
    deleted: set[str] = field(default_factory=set)
    lost: Counter[str] = field(default_factory=Counter)  # by group: entries that were trimmed and not delivered to it

    def add(self, entry_id: str, task: str) -> None:
        self.entries[entry_id] = task
        self.last = order(entry_id)

    def delete(self, ids: list[str]) -> None:
        for entry_id in ids:
            self.entries.pop(entry_id, None)
        self.deleted |= set(ids)

    def keep_newest(self, count: int) -> None:
        trimmed = list(self.entries)[: max(0, len(self.entries) - count)]
        for name in self.groups:
            self.lost[name] += len(set(trimmed) & set(self.waiting(name)))
        for entry_id in trimmed:
            del self.entries[entry_id]

    def waiting(self, group: str) -> list[str]:
        """Ids that were not delivered to `group`."""
        return [entry_id for entry_id in self.entries if order(entry_id) > self.groups[group].delivered]

    def deliver(self, group: str, consumer: str, count: int, *, acked: bool) -> list[str]:
        """What a read of new entries hands out."""
        ids = self.waiting(group)[:count]
        for entry_id in ids:
            self.groups[group].delivered = order(entry_id)
            # An id below an earlier SETID may be pending already: it moves to the reader.
            if not acked:
                self.groups[group].pending[entry_id] = consumer
        return ids

    def needed(self) -> set[str]:
        """Ids that some group has yet to read or to acknowledge."""
        ids: set[str] = set()
        for name, group in self.groups.items():
            ids |= set(self.waiting(name)) | (group.pending.keys() & self.entries.keys())
        return ids

"""What a law answers, before the bounds of spec and cluster."""

from __future__ import annotations

from dataclasses import dataclass

LEAD = 2.5  # seconds that marking a victim takes


@dataclass(frozen=True, slots=True)
class Wish:
    """What a law wants, in pods that work.

    `need` would do by the counters alone; `count` also holds what the law keeps for a while, and `soon` is what
    `count` will be in `LEAD` seconds if nothing changes.
    """

    count: int
    need: int
    soon: int
    why: str

"""Entry ids: two 64-bit numbers, `<milliseconds>-<sequence>`."""

from __future__ import annotations

YEAR_2000 = 946_684_800_000  # ms: an id below was made up by its producer, and is no time


def entry_order(entry_id: str) -> tuple[int, int]:
    """An entry id as numbers that compare as Redis compares them."""
    milliseconds, _, sequence = entry_id.partition("-")
    return int(milliseconds), int(sequence or 0)


def successor(entry_id: str) -> str:
    """The smallest id after `entry_id`; exclusive ranges need Redis 6.2."""
    milliseconds, sequence = entry_order(entry_id)
    return f"{milliseconds + 1}-0" if sequence == 2**64 - 1 else f"{milliseconds}-{sequence + 1}"


def predecessor(entry_id: str) -> str:
    """The greatest id before `entry_id`, which isn't 0-0."""
    milliseconds, sequence = entry_order(entry_id)
    return f"{milliseconds}-{sequence - 1}" if sequence else f"{milliseconds - 1}-{2**64 - 1}"

"""What a check has to say."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """`cause` is one sentence, `next` a command or what to change. A `warning` hurts nobody yet."""

    check: str
    cause: str
    next: str
    warning: bool = False

"""What the API server would not have of a queue's objects. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from streamqueue.controller.trouble import Trouble

# A quota, a policy or a webhook may let pass later what it refuses now.
RETRY = 60.0  # seconds


@dataclass(frozen=True, slots=True)
class Refusal:
    """Until it is tried again the last good objects stay; `at` is monotonic."""

    trouble: Trouble
    at: float

    def holds(self, now: float) -> bool:
        """Whether to ask no more for the same."""
        return now - self.at < RETRY


class Refused(Exception):
    """The API server won't have the object as it is."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.trouble.message)
        self.refusal = refusal

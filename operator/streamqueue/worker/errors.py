"""What a handler may raise to say what should become of its task, and what the SDK raises."""

from __future__ import annotations

from math import inf


class Retry(Exception):
    """Do this task again: `raise Retry("rate limited", after=30)`.

    `after` is seconds; None takes the queue's backoff. A retry that is not `counted` costs no attempt: for "not now"
    (a full downstream, a 429), not for failures.
    """

    def __init__(self, why: str = "", *, after: float | None = None, counted: bool = True) -> None:
        super().__init__(why)
        if after is not None and not 0 <= after < inf:
            raise ValueError(f"Retry(after={after}): a delay is zero or more seconds, and has an end")
        self.after = after
        self.counted = counted


class DeadLetter(Exception):
    """Set this task aside at once: `raise DeadLetter("no such customer")`. It goes to the dead-letter stream."""


class WrongResults(Exception):
    """A batch handler returned neither None nor a list with one item per task."""


class HandlerCrash(Exception):
    """The process that ran the task died. Counts as an attempt; next time the task runs with nothing beside it."""


class PayloadError(ValueError):
    """The task's fields do not fit the handler's parameter, or a payload cannot be sent."""


class SettingsError(ValueError):
    """A variable of the worker's environment is missing or wrong; the message names it."""

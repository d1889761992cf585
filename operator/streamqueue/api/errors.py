"""The one error of a spec that cannot be used."""

from __future__ import annotations


class SpecError(ValueError):
    """A field of a StreamQueue is wrong.

    `field` is the dotted path (`spec.scaling.targetWait`), `message` says what to write instead.
    Neither holds the value of a field that may carry a password.
    """

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message

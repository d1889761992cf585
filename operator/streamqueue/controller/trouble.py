"""Why a step of the flow could not be taken."""

from __future__ import annotations

from dataclasses import dataclass

from streamqueue.streams.errors import RedisProblem


@dataclass(frozen=True, slots=True)
class Trouble:
    """A condition's reason and message."""

    reason: str
    message: str


def trouble_of(problem: RedisProblem) -> Trouble:
    return Trouble(problem.kind.value, str(problem))

"""What tests of handlers of many tasks share."""

from __future__ import annotations

import dataclasses

Task = dict[str, str]
NEXT = "{orders}:next"


@dataclasses.dataclass
class Order:
    task: int


def names(tasks: list[Task]) -> list[str]:
    return [task["task"] for task in tasks]

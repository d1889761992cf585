"""Simulated time, and what happens when."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappush
from typing import Any


class Clock:
    """`events`: a heap of time, serial number, and what is called with which arguments; it is for the fleet to play."""

    def __init__(self) -> None:
        self.now = 0.0
        self.events: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._serial = 0

    def after(self, delay: float, happen: Callable[..., None], *args: Any) -> None:
        """Of what happens at one time, what was said first comes first."""
        self._serial = serial = self._serial + 1
        heappush(self.events, (self.now + delay, serial, happen, args))

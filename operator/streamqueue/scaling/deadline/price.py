"""What a late task may cost, learnt from how many are late."""

from __future__ import annotations

import math
from dataclasses import dataclass

TOLERATED = 0.05  # of all tasks may start late
AIM = 0.6  # of what is tolerated, so that the target is met with room
GAIN = 0.01
LEAST, MOST = 1.0, 20.0  # cold starts a late task is worth


@dataclass(frozen=True, slots=True)
class Price:
    """In cold starts per late task: it rises while more are late than aimed at, and falls otherwise."""

    value: float = 2.0

    def learn(self, late: float, in_time: float) -> Price:
        aim = AIM * TOLERATED
        error = min(max(late * (1 - aim) - in_time * aim, -30.0), 30.0)
        if not error:
            return self
        return Price(min(max(self.value * math.exp(GAIN * error), LEAST), MOST))

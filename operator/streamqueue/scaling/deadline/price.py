"""What a late task may cost and how early tasks are due, learnt from how many are late."""

from __future__ import annotations

import math
from dataclasses import dataclass

TOLERATED = 0.05  # of all tasks may start late
AIM = 0.6  # of what is tolerated, so that the target is met with room
GAIN = 0.01
LEAST, MOST = 1.0, 20.0  # cold starts a late task is worth
STEP = 0.003  # of the target, per task
TIGHTEST, WIDEST = 0.6, 0.95  # shares of the target


@dataclass(frozen=True, slots=True)
class Price:
    """In cold starts per late task: it rises while more are late than aimed at, and falls otherwise.

    A price is no help against lateness that nobody foresees, as where cold starts vary: then less of the target is
    planned with.
    """

    value: float = 2.0
    share: float = WIDEST  # of the target that tasks may wait by plan

    def learn(self, late: float, in_time: float) -> Price:
        aim = AIM * TOLERATED
        error = min(max(late * (1 - aim) - in_time * aim, -30.0), 30.0)
        return Price(
            min(max(self.value * math.exp(GAIN * error), LEAST), MOST),
            min(max(self.share - STEP * error, TIGHTEST), WIDEST),
        )

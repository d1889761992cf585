"""How long a pod that is told to go may take."""

from __future__ import annotations

import math

from streamqueue.api.spec import Handler

GRACE_SECONDS = 30  # for the shutdown itself, beyond the tasks under way
HAND_BACK_SECONDS = 10  # of which a worker of the SDK keeps these to hand back what did not end


def grace_period(handler: Handler) -> int:
    """Seconds that a pod may take to finish what it has read."""
    return math.ceil(round(handler.timeout * handler.batch, 3)) + GRACE_SECONDS


def tasks_grace(handler: Handler) -> int:
    """Seconds of it for the tasks under way."""
    return grace_period(handler) - HAND_BACK_SECONDS

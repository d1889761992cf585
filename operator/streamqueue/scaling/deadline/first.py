"""When a queue that needs less than one pod starts its first: tasks gather while their deadline allows it.

A pod that is started for one task, idles and goes again costs a cold start each time. If more tasks come before
the deadline, one start serves them all, and a pod for several tasks at once runs them side by side.
"""

from __future__ import annotations

from streamqueue.scaling.coldstart import LOOKS, ColdStart
from streamqueue.scaling.deadline.learn import REMEMBERED, Learnt
from streamqueue.scaling.model import Observation


def spared_by_gathering(learnt: Learnt, cold: ColdStart, allowance: float, concurrency: int) -> float:
    """Idle pod-seconds that going to zero spares each time; 0 where nothing else is expected to gather.

    From the tasks delivered lately: after a silence the first task starts a pod at once.
    """
    arrivals = learnt.arrivals
    lately = max(0.0, learnt.flow.delivered - arrivals.counts[0])
    rate = lately / max(learnt.seen - arrivals.times[0], REMEMBERED)
    delay = allowance - first_takes(learnt, cold)
    if rate * delay < 1:
        return 0.0
    idle = 1 - rate * learnt.service.seconds / concurrency
    return max(0.0, idle) * (delay + cold.mean)


def may_gather(observation: Observation) -> bool:
    """Whether it is known how long all tasks in hand have waited."""
    return observation.oldest_waiting_age is not None and not observation.pending


def first_takes(learnt: Learnt, cold: ColdStart) -> float:
    """Seconds until a pod that is created at the next look is there; slow pods are reckoned with."""
    return cold.slow + LOOKS * learnt.tick

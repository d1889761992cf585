"""A pod is there in time for the next delayed task or retry, also from zero.

Only when the next one is due is known, not how many are: further pods follow once they wait.
"""

from __future__ import annotations

from dataclasses import replace

from streamqueue.api.spec import Scaling, TargetBacklog, TargetWait
from streamqueue.scaling.coldstart import LOOKS, ColdStart
from streamqueue.scaling.fleet import Fleet
from streamqueue.scaling.model import Observation
from streamqueue.scaling.wish import Wish


def lead(spec: Scaling, cold: ColdStart) -> float:
    """How many seconds before a task is due a pod is started for it; slow pods are reckoned with.

    With `targetWait` the task may wait so long, with `targetBacklog` not at all.
    """
    bearable = spec.target.seconds if isinstance(spec.target, TargetWait) else 0.0
    return max(0.0, cold.slow + LOOKS * spec.polling_interval - bearable)


def foresee(wish: Wish, spec: Scaling, cold: ColdStart, fleet: Fleet, observation: Observation) -> Wish:
    """At least one pod if a task is due soon enough; the last one stays where another start would cost more."""
    due = observation.next_due
    if due is None or wish.soon > 0:
        return wish
    soon = lead(spec, cold)
    if fleet.replicas:
        soon += cold.mean + (spec.scale_down.delay if isinstance(spec.target, TargetBacklog) else 0.0)
    if due > soon:
        return wish
    return replace(
        wish, count=max(wish.count, 1), need=max(wish.need, 1), soon=1, why=f"a delayed task is due in {due:.0f} s"
    )

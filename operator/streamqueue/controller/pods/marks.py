"""Annotations on worker pods that tell others which may go. Pure.

`pod-deletion-cost` guides the ReplicaSet when the count falls; the protections keep node autoscalers from moving a
pod. Pods are born protected, lose it once idle for a while, and get it back at once with work.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from streamqueue.api.template import DELETION_COST, PROTECTED
from streamqueue.controller.kinds import Body
from streamqueue.controller.pods.states import VICTIM_COST

Changes = dict[str, str | None]

# Idle for this long, a pod may be moved: few writes, as most pauses between tasks are shorter.
UNPROTECTED_AFTER = 30.0  # seconds

_FREE: Changes = dict.fromkeys(PROTECTED)


def note_idle(idle_since: Mapping[str, float], pending: Mapping[str, int | None], now: float) -> dict[str, float]:
    """Since when each pod that is known to hold nothing holds nothing."""
    return {pod: idle_since.get(pod, now) for pod, entries in pending.items() if entries == 0}


def changes(pod: Body, victims: Collection[str], idle_since: Mapping[str, float], now: float) -> Changes:
    """Annotations to set, or to remove where None; empty where all is as it should be."""
    name = pod["metadata"]["name"]
    idle = now - idle_since.get(name, now) >= UNPROTECTED_AFTER
    desired = {DELETION_COST: VICTIM_COST if name in victims else None} | (_FREE if idle else PROTECTED)
    live = pod["metadata"].get("annotations", {})
    return {key: value for key, value in desired.items() if live.get(key) != value}

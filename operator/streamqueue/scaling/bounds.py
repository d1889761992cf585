"""A law's wish within what the spec and the cluster allow."""

from __future__ import annotations

from dataclasses import dataclass

from streamqueue.api.spec import Scaling
from streamqueue.scaling.fleet import Fleet
from streamqueue.scaling.model import Observation, Reason
from streamqueue.scaling.wish import Wish


@dataclass(frozen=True, slots=True)
class Bounded:
    """The count to head for. `reason` says why it is not lower where `target` is the present count."""

    target: int
    soon: int  # the target a moment from now, if nothing changes
    reason: Reason
    why: str


def bound(spec: Scaling, fleet: Fleet, wish: Wish, observation: Observation) -> Bounded:
    """Apply, in this order: stuck pods, the floor, maxReplicas (terminating pods included), maxStep."""
    have = fleet.replicas
    floor = spec.min_replicas
    if have and (observation.waiting or observation.pending):
        floor = max(floor, 1)
    wanted = max(_with_stuck(fleet, wish.count, wish.need), floor)
    target = min(wanted, spec.max_replicas)
    if target <= have:
        soon = min(wish.count, wish.soon)
        soon = min(target, max(spec.min_replicas, _with_stuck(fleet, soon, min(wish.need, soon))))
        return Bounded(target, soon, _why_not_more(spec, fleet, wish, wanted, observation), wish.why)
    target = room_for(target, spec, fleet)
    if spec.scale_up.max_step is not None:
        target = min(target, have + spec.scale_up.max_step)
    if target == have:
        return Bounded(target, target, Reason.AT_MAX, f"{wish.why}; {still_terminating(spec, fleet)}")
    return Bounded(target, target, Reason.SCALING_UP, wish.why)


def room_for(target: int, spec: Scaling, fleet: Fleet) -> int:
    """As much of a count that is not below the present one as maxReplicas leaves beside terminating pods."""
    return max(fleet.replicas, min(target, spec.max_replicas - fleet.terminating))


def still_terminating(spec: Scaling, fleet: Fleet) -> str:
    """Why the count is lower than what is wanted."""
    return f"{fleet.terminating} pods still terminating count against maxReplicas {spec.max_replicas}"


def _with_stuck(fleet: Fleet, count: int, need: int) -> int:
    """Replicas for so many working pods.

    Pods without a node, or failing, were asked for already: a bigger wish doesn't ask for them twice.
    They go, first of all, once the working pods are more than enough.
    """
    if count > fleet.capacity or (need >= fleet.capacity and need > 0):
        return max(fleet.replicas, count)
    if count <= len(fleet.ready):
        return count
    # A ReplicaSet may take a starting pod for a failing one, and those are wanted here.
    return count + len(fleet.failing)


def _why_not_more(spec: Scaling, fleet: Fleet, wish: Wish, wanted: int, observation: Observation) -> Reason:
    if wanted > spec.max_replicas:
        return Reason.AT_MAX
    if fleet.unschedulable and wish.count > fleet.capacity:
        return Reason.UNSCHEDULABLE
    if wish.need < fleet.capacity and wish.count >= fleet.capacity > spec.min_replicas:
        return Reason.COOLING_DOWN
    if fleet.replicas == 0:
        return Reason.GATHERING if observation.waiting else Reason.IDLE
    if fleet.replicas == spec.min_replicas:
        return Reason.AT_MIN
    return Reason.STEADY

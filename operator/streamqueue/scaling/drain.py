"""Which pods may go, and by how many the count may fall now.

A ReplicaSet removes unassigned, then not running, then not ready pods before it looks at
`pod-deletion-cost`. So whatever is not ready goes first, idle pods are marked before the count falls,
and it falls only by pods whose marks our own watch has shown for `SETTLE` seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from streamqueue.scaling.fleet import Fleet
from streamqueue.scaling.model import Observation, Pod, PodState

SETTLE = 1.0  # seconds between seeing a mark (or a missing pod) and relying on it
MISSING_SETTLE = 5.0


@dataclass(frozen=True, slots=True)
class Drain:
    """`victims` to mark, and the number of pods (`fall`) by which the count may fall now."""

    victims: tuple[str, ...]
    fall: int


NOTHING = Drain((), 0)


def note_marks(seen: Mapping[str, float], observation: Observation) -> Mapping[str, float]:
    """When each marked pod was first seen marked. Returns `seen` itself where nothing changed."""
    now = observation.now
    marks = {pod.name: seen.get(pod.name, now) for pod in observation.pods if pod.marked}
    return seen if marks == seen else marks


def plan_drain(
    fleet: Fleet,
    marks: Mapping[str, float],
    target: int,
    observation: Observation,
    missing_since: float | None,
) -> Drain:
    """Choose the pods that go on the way from `fleet.replicas` down to `target`."""
    surplus = fleet.live - target
    if fleet.shared_names and observation.pending > 0:
        return NOTHING
    unborn = 0
    if fleet.missing and missing_since is not None and observation.now - missing_since >= MISSING_SETTLE:
        unborn = min(fleet.missing, fleet.replicas - target)
    if surplus <= 0:
        return Drain((), unborn)
    victims = candidates(fleet)[:surplus]
    chosen = {pod.name for pod in victims}
    if any(pod.marked and pod.name not in chosen for pod in fleet.ready):
        # A ReplicaSet would as soon take this one, which may be busy: wait until its mark is gone.
        return Drain(tuple(pod.name for pod in victims), 0)
    settled = sum(1 for pod in victims if observation.now - marks.get(pod.name, observation.now) >= SETTLE)
    return Drain(tuple(pod.name for pod in victims), max(0, settled - fleet.leaving) + unborn)


def candidates(fleet: Fleet) -> list[Pod]:
    """Pods that may go, in the order in which a ReplicaSet takes them; among the idle, marked first."""
    unready = [*fleet.unschedulable, *fleet.failing, *fleet.starting]
    unready.sort(key=_unready_order)
    return unready + sorted(fleet.idle, key=_idle_order)


def _unready_order(pod: Pod) -> tuple[int, float]:
    rank = {PodState.UNSCHEDULABLE: 0, PodState.FAILING: 1}.get(pod.state, 2)
    return (rank, -pod.created)


def _idle_order(pod: Pod) -> tuple[bool, float, str]:
    return (not pod.marked, -pod.created, pod.name)

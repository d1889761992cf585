"""Which pods may go, and by how many the count may fall now.

A ReplicaSet removes unassigned, then not running, then not ready pods before it looks at
`pod-deletion-cost`. So whatever is not ready goes first, idle pods are marked before the count falls,
and it falls only by pods whose marks have settled (`looks`).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from streamqueue.scaling.fleet import Fleet
from streamqueue.scaling.looks import is_settled
from streamqueue.scaling.model import Observation, Pod, PodState

MISSING_SETTLE = 5.0  # seconds after which a pod that the Deployment asks for isn't expected any more
STICKY = 60.0  # seconds for which a lone victim keeps its mark while it works
NO_LIMIT = 1 << 30


@dataclass(frozen=True, slots=True)
class Marks:
    """Which pods were marked at the last look, and how many ready pods to mark at a time.

    A marked pod that takes a task before it may go spoils the set, since a ReplicaSet chooses among the marked as it
    likes. So the set halves each time and doubles with each success.
    """

    names: frozenset[str] = frozenset()
    batch: int = NO_LIMIT
    missing_since: float | None = None  # since when the Deployment asks for pods that don't exist


@dataclass(frozen=True, slots=True)
class Drain:
    """`victims` to mark, the number of pods (`fall`) by which the count may fall now, and those to take no more."""

    victims: tuple[str, ...]
    fall: int
    cordoned: tuple[str, ...] = ()


NOTHING = Drain((), 0)


def note_marks(before: Marks, fleet: Fleet, observation: Observation) -> Marks:
    """Take in which pods are marked."""
    names = frozenset([pod.name for pod in fleet.marked])
    batch = before.batch
    spoilt = any(pod.pending and pod.state is PodState.READY for pod in fleet.marked)
    if spoilt and len(names) > 1:
        batch = max(1, min(batch, len(names)) // 2)
    if before.names - names and not spoilt and batch < NO_LIMIT:
        batch *= 2
    missing_since = before.missing_since
    if not fleet.missing:
        missing_since = None
    elif missing_since is None:
        missing_since = observation.now
    return Marks(names, batch, missing_since)


def plan_drain(fleet: Fleet, marks: Marks, target: int, soon: int, observation: Observation, cordons: int) -> Drain:
    """Choose the pods that go on the way from `fleet.replicas` to `target`.

    `soon` (at most `target`) is what will be wanted in a moment if nothing changes: its victims are marked
    ahead of time. At most `cordons` pods take no more tasks.
    """
    if fleet.shared_names and observation.pending > 0:
        return NOTHING
    now = observation.now
    unborn = 0
    if marks.missing_since is not None and now - marks.missing_since >= MISSING_SETTLE:
        unborn = max(0, min(fleet.missing, fleet.replicas - max(target, observation.created)))
    victims = _choose(fleet, marks, fleet.live - soon, now)
    names = tuple([pod.name for pod in victims])
    cordoned = _cordon(fleet, names, min(len(fleet.ready) - target, cordons))
    marked = [pod for pod in fleet.marked if pod.state is PodState.READY]
    if any(pod.pending or pod.name not in names for pod in marked):
        # A ReplicaSet would as soon take this one: wait until it is idle, or its mark gone.
        return Drain(names, unborn, cordoned)
    if any(_may_work(pod, observation) for pod in _unready(fleet)):
        return Drain(names, unborn, cordoned)  # a ReplicaSet would take this one first of all
    settled = sum(1 for pod in victims if is_settled(pod, now))
    return Drain(names, max(0, settled - fleet.leaving) + unborn, cordoned)


def _choose(fleet: Fleet, marks: Marks, surplus: int, now: float) -> list[Pod]:
    """Pods that may go, in the order in which a ReplicaSet takes them; among the idle, marked first."""
    if surplus <= 0:
        return []
    unready = [pod for pod in _unready(fleet) if not pod.pending]
    unready.sort(key=_unready_order)
    if surplus <= len(unready):
        return unready[:surplus]
    if fleet.live == 1:
        return list(fleet.ready)  # nobody has a choice: it is marked at work, and goes when next seen idle
    surplus = min(surplus - len(unready), marks.batch)
    if marks.batch == 1:
        marked = [pod for pod in fleet.marked if pod.state is PodState.READY]
        # Where tasks come fast, no pod stays idle for long: a lone victim may go when next seen idle.
        if len(marked) == 1 and _marked_for(marked[0], now) < STICKY:
            return unready + marked
    return unready + sorted(fleet.idle, key=_idle_order)[:surplus]


def _cordon(fleet: Fleet, victims: Collection[str], surplus: int) -> tuple[str, ...]:
    """Of so many ready pods that aren't wanted, the `victims` first, those at work: a pod of many slots may never be
    idle by itself.
    """
    if surplus <= 0:
        return ()
    first = set(victims)
    going = sorted(fleet.ready, key=lambda pod: (pod.name not in first, *_cordon_order(pod)))[:surplus]
    return tuple([pod.name for pod in going if pod.pending or pod.cordoned])


def _unready(fleet: Fleet) -> list[Pod]:
    return [*fleet.unschedulable, *fleet.failing, *fleet.starting]


def _may_work(pod: Pod, observation: Observation) -> bool:
    """Of an unready pod: a sidecar or a probe makes it so while its worker goes on."""
    return bool(pod.pending) if pod.pending is not None else observation.pending > 0


def _marked_for(pod: Pod, now: float) -> float:
    return 0.0 if pod.marked_since is None else now - pod.marked_since


def _unready_order(pod: Pod) -> tuple[int, float]:
    rank = {PodState.UNSCHEDULABLE: 0, PodState.FAILING: 1}.get(pod.state, 2)
    return (rank, -pod.created)


def _idle_order(pod: Pod) -> tuple[bool, bool, float, str]:
    return (not pod.marked, not pod.cordoned, -pod.created, pod.name)


def _cordon_order(pod: Pod) -> tuple[bool, int, float, str]:
    return (not pod.cordoned, pod.pending or 0, -pod.created, pod.name)

"""What the scaling law sees and what it answers."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class PodState(StrEnum):
    STARTING = "starting"
    READY = "ready"
    UNSCHEDULABLE = "unschedulable"  # the scheduler said no: not capacity, not asked for twice
    FAILING = "failing"  # ImagePullBackOff, CrashLoopBackOff, or starting for too long
    TERMINATING = "terminating"  # counts against maxReplicas, is no capacity


@dataclass(frozen=True, slots=True)
class Pod:
    """One worker pod. Times are seconds on the observation's clock."""

    name: str
    state: PodState
    created: float
    ready_at: float | None = None
    # Entries in this pod's hands; None where consumer names don't tell pods apart. What a worker left that doesn't run
    # is in nobody's hands.
    pending: int | None = None
    marked: bool = False  # carries the victim's pod-deletion-cost
    marked_since: float | None = None  # since when our own watch shows that; None: not yet
    cordoned: bool = False  # was told to take no more tasks
    restarted: bool = False  # a container of it ended and came again, so that `ready_at` may be of a later start


@dataclass(frozen=True, slots=True)
class Observation:
    """One look at a queue. Unknown is None or `known=False`, never zero."""

    now: float  # seconds; only differences matter, never runs backwards
    known: bool  # False: Redis could not be read, every counter below is meaningless
    waiting: int = 0  # undelivered entries (a lower bound where `waiting_exact` is False)
    waiting_exact: bool = True
    # Where it isn't: by counters that deletions and trims make too high, to plan with. None: no better guess.
    waiting_likely: int | None = None
    retries: int = 0  # of the waiting, those whose time has come again: `entries_added` doesn't count them anew
    pending: int = 0  # delivered, not acknowledged
    oldest_waiting_age: float | None = None  # seconds
    # Ever added to the stream, and the delayed tasks that are due and not in it yet; Redis >= 7.0
    entries_added: int | None = None
    last_delivered_age: float | None = None  # seconds since the last delivered entry was added
    next_due: float | None = None  # seconds until the next delayed task or retry is due; None without any
    pods: tuple[Pod, ...] = ()
    replicas: int = 0  # spec.replicas of the live Deployment
    rollout: bool = False  # a rollout is under way: no scale-down
    created: int = 0  # pods that the cluster counts for the Deployment, at least: `pods` may come later


class Reason(StrEnum):
    """Why the count is what it is. Shown by `kubectl get sq`."""

    STEADY = "Steady"
    IDLE = "Idle"
    GATHERING = "Gathering"  # at zero, and the first pod is started later: more tasks come before the deadline
    SCALING_UP = "ScalingUp"
    SCALING_DOWN = "ScalingDown"
    AT_MAX = "AtMax"
    AT_MIN = "AtMin"
    PINNED = "Pinned"
    PAUSED = "Paused"
    UNKNOWN = "Unknown"  # Redis can't be read: hold
    LEARNING = "Learning"  # new operator process: hold or up
    COOLING_DOWN = "CoolingDown"  # fewer would do, the delay isn't over
    DRAINING = "Draining"  # fewer would do, the pods are busy: some take no more tasks
    ROLLING_OUT = "RollingOut"  # fewer would do, not inside a rollout
    UNSCHEDULABLE = "Unschedulable"  # more are wanted, the last ones have no node yet


@dataclass(frozen=True, slots=True)
class Decision:
    """Replicas to run, and the pods that may go if that is fewer than now.

    `sentence` holds the numbers, for people: "12 -> 20: 340 waiting, oldest 21 s of 30 s".
    """

    replicas: int
    reason: Reason
    sentence: str
    # Pods to mark (pod-deletion-cost) before the count may fall: idle ones, or a lone one at work. The count in
    # `replicas` has fallen only by those that are idle and were seen marked for a second.
    victims: tuple[str, ...] = ()
    # Pods to take no more tasks: there are more than are wanted, and too few of them idle. They are idle once their
    # tasks are done, and capacity again at once if they are not on this list any more.
    cordoned: tuple[str, ...] = ()

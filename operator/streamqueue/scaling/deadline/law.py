"""targetWait: 95 % of tasks start within the target of being added, at the least pod-time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from streamqueue.scaling.coldstart import ColdStart
from streamqueue.scaling.deadline.curve import Outlook, add_pods, is_late, lateness, look_ahead, starts_per_step
from streamqueue.scaling.deadline.first import first_takes, may_gather, spared_by_gathering
from streamqueue.scaling.deadline.learn import Learnt
from streamqueue.scaling.deadline.price import WIDEST
from streamqueue.scaling.deadline.service import ServiceTime
from streamqueue.scaling.deadline.up import best_addition
from streamqueue.scaling.fleet import Fleet
from streamqueue.scaling.model import Observation
from streamqueue.scaling.wish import LEAD, Wish

RATE_WINDOWS = (10.0, 30.0)  # seconds; arrivals are expected to go on only as fast as each of them shows
STEPS = 24
SPREAD = 0.3  # standard deviations of the work in hand that need is raised by
PATIENCE = 2.0  # looks ahead
PAUSE_COST = 1.0  # a start's price beyond its cold start, in cold starts


@dataclass(frozen=True, slots=True)
class Plan:
    """What is due in the next seconds, and who is there for it."""

    outlook: Outlook
    service: float  # seconds a task
    cautious: float  # the same for pods that join: all tasks may have become longer
    held: float  # the same for what is in work now
    concurrency: int
    slots: int  # of ready pods
    busy: int

    def starts(self, joining: Sequence[float]) -> list[float]:
        """What the ready pods, and those `joining` in so many seconds, can start in each step."""
        return starts_per_step(self.outlook, self.slots, self.held, joining, self.concurrency, self.cautious)

    def is_late(self, capacity: Sequence[float]) -> bool:
        """Whether any task will start late with this capacity."""
        return is_late(self.outlook, self.slots - self.busy, capacity)


def wish_by_deadline(
    target: float,
    concurrency: int,
    limit: int,
    learnt: Learnt,
    starts: ColdStart,
    fleet: Fleet,
    observation: Observation,
) -> tuple[Wish, Learnt]:
    """How many pods to run, and what the law has learnt by it."""
    now, service, cold, tick = observation.now, learnt.service.seconds, starts.mean, learnt.tick
    work = bool(observation.waiting or observation.pending)
    allowance = learnt.price.share * target
    rate = min(learnt.arrivals.rate(window) for window in RATE_WINDOWS)
    slots = len(fleet.ready) * concurrency
    joining = [max(starts.remaining(now - pod.created), tick / 2) for pod in fleet.starting]
    joining += [cold] * fleet.missing
    horizon = max(cold + tick + target, 4.0)
    outlook = look_ahead(learnt.arrivals, learnt.flow.delivered, rate, allowance, horizon, STEPS)
    cautious, held = learnt.service.cautious, learnt.still_busy(slots)
    plan = Plan(outlook, service, cautious, held, concurrency, slots, min(slots, int(learnt.busy)))
    capacity = plan.starts(joining)

    more = 0
    if (observation.waiting or rate > 0) and plan.is_late(capacity):
        most = min(limit, int((observation.waiting + rate * (cold + target)) / concurrency) + 2)
        more = _additional(plan, capacity, cold, learnt.price.value, target, tick, most)
    spared = spared_by_gathering(learnt, starts, allowance, concurrency)
    if not fleet.capacity and work:
        gathers = spared and may_gather(observation) and not plan.is_late(plan.starts((first_takes(learnt, starts),)))
        more = max(more, 0 if gathers else 1)

    within = max(allowance, cold + tick)
    due = min(_need(plan, within), limit)
    need = min(max(due, int(work)), limit)
    old, lost = _headway(fleet, observation)
    worth = min(need, max(_need(plan, within, old, lost), int(work))) if lost else need
    levels = learnt.levels.note(now, worth, tick)
    delay = cold + tick - WIDEST * target
    late_tasks = 1 + delay / service if delay > 0 else 0.0
    default = cold + cold * (1 + PAUSE_COST) * late_tasks
    restart = cold + learnt.price.value * cold * (1 + PAUSE_COST) * late_tasks
    first = max(0.0, restart + LEAD - spared) if spared else restart
    (keep, soon), levels = levels.keep((now, now + LEAD), (default, restart, first), tick)
    learnt = replace(learnt, levels=levels)
    why = f"{_in_wait(target, observation)}; {_in_short(learnt.service, starts)}"
    have = fleet.capacity
    if more:
        return Wish(have + more, max(need, have + more), have + more, why), learnt
    # A ReplicaSet takes starting pods first, so none may go while those are wanted.
    if joining and need < have and plan.is_late(plan.starts(())):
        return Wish(have, need, have, why), learnt
    need = min(need, have)
    # What is in hand may be done in a moment.
    soon = max(soon, need if observation.waiting else due)
    return Wish(min(max(need, keep), have), need, min(soon, have), why), learnt


def _additional(
    plan: Plan, capacity: Sequence[float], cold: float, price: float, target: float, tick: float, most: int
) -> int:
    """The number of pods at which their starts and late tasks, at `price` starts each, cost least."""
    outlook = plan.outlook
    a_pod = cold * (1 + PAUSE_COST)

    def cheapest(eta: float) -> tuple[int, float]:
        extra = [0.0] * STEPS
        add_pods(extra, eta, plan.concurrency, outlook.step, plan.service)

        def cost(pods: int) -> float:
            late, overdue = lateness(outlook, plan.slots - plan.busy, capacity, extra, pods)
            return a_pod * (pods + price * (late + overdue / target))

        best = best_addition(cost, most)
        return best, cost(best)

    more, now_cost = cheapest(cold)
    # What costs no more a few looks later is decided then, with more known.
    return more if more and cheapest(cold + PATIENCE * tick)[1] > now_cost + 1e-6 else 0


def _in_wait(target: float, observation: Observation) -> str:
    count = f"{'' if observation.waiting_exact else 'at least '}{observation.waiting} waiting"
    oldest = observation.oldest_waiting_age
    return count if oldest is None else f"{count}, oldest {oldest:.0f} s of {target:.0f} s"


def _in_short(service: ServiceTime, starts: ColdStart) -> str:
    seconds, guess = service.seconds, " (assumed)"
    a_task = f"{seconds:.1f}" if seconds >= 1 else f"{seconds:.2g}"
    known, seen = service.is_known, bool(starts.samples)
    return f"{a_task} s a task{'' if known else guess}; pods take {starts.mean:.0f} s{'' if seen else guess}"


def _headway(fleet: Fleet, observation: Observation) -> tuple[int, float]:
    """Of the pods, how many were ready when the oldest waiting entry came, and the seconds the others lost since.

    A burst is caught up with by many pods that come late; fewer would have done, had they been there.
    """
    if observation.oldest_waiting_age is None:
        return 0, 0.0
    now = observation.now
    since = now - observation.oldest_waiting_age
    pods = (*fleet.ready, *fleet.starting)
    # By clocks that differ a pod may be ready before it was created.
    lost = [
        max(0.0, (now if pod.ready_at is None else pod.ready_at) - max(pod.created, since))
        for pod in pods
        if pod.ready_at is None or pod.ready_at > since
    ]
    return len(pods) - len(lost), sum(lost) / len(lost) if lost else 0.0


def _need(plan: Plan, horizon: float, old: int = 0, lost: float = 0.0) -> int:
    """The fewest pods that start in time every entry due within `horizon` seconds, were they all ready now.

    With `lost`: had all but `old` of them been ready that many seconds ago.
    """
    outlook, concurrency, service, busy = plan.outlook, plan.concurrency, plan.service, plan.busy
    step, started, early = outlook.step, outlook.started, old * concurrency * lost / service
    need = 0.0
    for j, entries in enumerate(outlook.due):
        ahead = j * step
        if ahead > horizon:
            break
        due = entries - started
        if due > 0 and j:
            each = concurrency * (1 + (ahead + lost) / service)
            pods = (due + busy + early) / each
            pods += SPREAD * math.sqrt(pods * concurrency * ahead / service) / each
            if pods > need:
                need = pods
    return math.ceil(need - 1e-9)

"""targetWait: 95 % of tasks start within the target of being added, at the least pod-time."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from streamqueue.scaling.backlog import LEAD, Wish
from streamqueue.scaling.deadline.arrivals import Arrivals
from streamqueue.scaling.deadline.coldstart import ColdStart
from streamqueue.scaling.deadline.curve import Outlook, add_pods, lateness, look_ahead, starts_per_step
from streamqueue.scaling.deadline.flow import Flow, first_flow, next_flow
from streamqueue.scaling.deadline.levels import Levels
from streamqueue.scaling.deadline.price import Price
from streamqueue.scaling.deadline.service import ServiceTime
from streamqueue.scaling.deadline.up import best_addition
from streamqueue.scaling.fleet import Fleet
from streamqueue.scaling.model import Observation, PodState

SHARE = 0.95  # of the target is planned with
RATE_WINDOW = 30.0  # seconds over which the arrival rate is measured
STEPS = 24
SPREAD = 0.3  # standard deviations of the work in hand that need is raised by
LONG_GAP = 10.0  # seconds without an observation, after which nothing is learnt from the difference
PATIENCE = 2.0  # looks ahead
PAUSE_COST = 1.0  # a start's price beyond its cold start, in cold starts


@dataclass(frozen=True, slots=True)
class Learnt:
    """All that the law remembers of a queue."""

    seen: float  # time of the latest observation learnt from
    tick: float
    flow: Flow
    arrivals: Arrivals
    busy: float = 0.0
    service: ServiceTime = field(default_factory=ServiceTime)
    cold: ColdStart = field(default_factory=ColdStart)
    levels: Levels = field(default_factory=Levels)
    price: Price = field(default_factory=Price)


def learn(before: Learnt | None, fleet: Fleet, target: float, concurrency: int, observation: Observation) -> Learnt:
    """Take in an observation."""
    now = observation.now
    busy = float(_busy_slots(fleet, concurrency, observation))
    if before is None:
        flow = first_flow(observation)
        return Learnt(
            now, 1.0, flow, _first_arrivals(flow, observation), busy, cold=ColdStart().learn(fleet.ready, -math.inf)
        )
    gap = now - before.seen
    served = gap * (busy + before.busy) / 2 / before.service.seconds
    flow_or_none = next_flow(before.flow, before.arrivals, served, observation)
    cold = before.cold.learn(fleet.ready, before.seen)
    if flow_or_none is None:
        flow = first_flow(observation)
        return Learnt(
            now,
            before.tick,
            flow,
            _first_arrivals(flow, observation),
            busy,
            before.service,
            cold,
            before.levels,
            before.price,
        )
    flow = flow_or_none
    service, price = before.service, before.price
    if gap <= LONG_GAP:
        if flow.exact and before.flow.exact:
            service = service.advance(
                gap * (busy + before.busy) / 2, max(0.0, flow.acknowledged - before.flow.acknowledged)
            )
        delivered = flow.delivered - before.flow.delivered
        if delivered > 0 and observation.last_delivered_age is not None:
            is_late = observation.last_delivered_age > target
            price = price.learn(delivered if is_late else 0.0, 0.0 if is_late else delivered)
    span = max(2 * target, RATE_WINDOW) + 2.0
    arrivals = before.arrivals
    if flow.added > before.flow.added and gap > LONG_GAP and observation.oldest_waiting_age is not None:
        first = now - observation.oldest_waiting_age
        if first > before.seen:
            arrivals = arrivals.extend(first, before.flow.added, span)
    arrivals = arrivals.extend(now, flow.added, span)
    tick = before.tick + 0.2 * (min(gap, LONG_GAP) - before.tick)
    return Learnt(now, tick, flow, arrivals, busy, service, cold, before.levels, price)


def _first_arrivals(flow: Flow, observation: Observation) -> Arrivals:
    now = observation.now
    if observation.waiting and observation.oldest_waiting_age:
        return Arrivals((now - observation.oldest_waiting_age, now), (flow.delivered, flow.added))
    return Arrivals((now,), (flow.added,))


def _busy_slots(fleet: Fleet, concurrency: int, observation: Observation) -> int:
    if fleet.shared_names:
        return min(observation.pending, len(fleet.ready) * concurrency)
    busy = 0
    for pod in observation.pods:
        if pod.pending and (pod.state is PodState.READY or pod.state is PodState.TERMINATING):
            busy += min(pod.pending, concurrency)
    return busy


def wish_by_deadline(
    target: float, concurrency: int, limit: int, learnt: Learnt, fleet: Fleet, observation: Observation
) -> tuple[Wish, Learnt]:
    """How many pods to run, and what the law has learnt by it."""
    now, flow, service = observation.now, learnt.flow, learnt.service.seconds
    cold, tick = learnt.cold.mean, learnt.tick
    allowance = SHARE * target
    rate = learnt.arrivals.rate(RATE_WINDOW)
    slots = len(fleet.ready) * concurrency
    busy = min(slots, int(learnt.busy))
    outlook = look_ahead(learnt.arrivals, flow.delivered, rate, allowance, max(cold + tick + target, 4.0), STEPS)
    extra = [0.0] * STEPS
    joining = [max(learnt.cold.remaining(now - pod.created), tick / 2) for pod in fleet.starting]
    joining += [cold] * fleet.missing
    capacity = starts_per_step(outlook, slots, service, joining, concurrency)
    price = learnt.price.value * cold * (1 + PAUSE_COST)
    more = 0
    if observation.waiting or rate > 0:
        late, overdue = lateness(outlook, slots - busy, capacity, extra, 0)
        if late + overdue > 1e-9:
            a_pod = cold * (1 + PAUSE_COST)
            most = min(limit, int((observation.waiting + rate * (cold + target)) / concurrency) + 2)

            def cheapest(eta: float) -> tuple[int, float]:
                extra = [0.0] * STEPS
                add_pods(extra, eta, concurrency, outlook.step, service)

                def cost(pods: int) -> float:
                    late, overdue = lateness(outlook, slots - busy, capacity, extra, pods)
                    return pods * a_pod + price * (late + overdue / target)

                best = best_addition(cost, most)
                return best, cost(best)

            more, now_cost = cheapest(cold)
            # What costs no more one look later is decided then, with more known.
            if more and cheapest(cold + PATIENCE * tick)[1] <= now_cost + 1e-6:
                more = 0
    need = _need(outlook, max(allowance, cold + tick), busy, service, concurrency)
    if observation.waiting or observation.pending:
        need = max(need, 1)
    need = min(need, limit)
    levels = learnt.levels.note(now, need, tick)
    delay = cold + tick - allowance
    late_tasks = 1 + delay / service if delay > 0 else 0.0
    restart = cold + price * late_tasks
    default = cold + cold * (1 + PAUSE_COST) * late_tasks
    keep, soon = levels.keep((now, now + LEAD), default, restart, tick)
    learnt = Learnt(
        learnt.seen, tick, flow, learnt.arrivals, learnt.busy, learnt.service, learnt.cold, levels, learnt.price
    )
    oldest = observation.oldest_waiting_age or 0.0
    why = (
        f"{observation.waiting} waiting, oldest {oldest:.0f} s of {target:.0f} s; "
        f"{service:.1f} s a task; pods take {cold:.0f} s"
    )
    if more:
        return Wish(fleet.capacity + more, max(need, fleet.capacity + more), fleet.capacity + more, why), learnt
    if joining and need < fleet.capacity:
        return Wish(fleet.capacity, need, fleet.capacity, why), learnt
    need = min(need, fleet.capacity)
    return Wish(min(max(need, keep), fleet.capacity), need, min(max(need, soon), fleet.capacity), why), learnt


def _need(outlook: Outlook, horizon: float, busy: float, service: float, concurrency: int) -> int:
    """The fewest pods that start every entry in time, were they all ready now."""
    need = 0.0
    for j in range(1, len(outlook.due)):
        ahead = j * outlook.step
        due = outlook.due[j] - outlook.started
        if due > 0:
            each = concurrency * (1 + ahead / service)
            pods = (due + busy) / each
            pods += SPREAD * math.sqrt(pods * concurrency * ahead / service) / each
            need = max(need, pods)
        if ahead >= horizon:
            break
    return math.ceil(need - 1e-9)

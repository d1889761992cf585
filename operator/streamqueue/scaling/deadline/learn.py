"""What the deadline law learns of a queue from one observation to the next."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from streamqueue.scaling.deadline.arrivals import Arrivals
from streamqueue.scaling.deadline.flow import Flow, first_flow, next_flow
from streamqueue.scaling.deadline.levels import Levels
from streamqueue.scaling.deadline.price import Price
from streamqueue.scaling.deadline.service import ServiceTime
from streamqueue.scaling.fleet import Fleet
from streamqueue.scaling.model import Observation

REMEMBERED = 30.0  # seconds of arrivals that are kept at least
HELD = 6.0  # tasks that the slots would have ended on average while none was taken
LONG_GAP = 10.0  # seconds without an observation, after which nothing is learnt from the difference


@dataclass(frozen=True, slots=True)
class Learnt:
    """All that the law remembers of a queue."""

    seen: float  # time of the latest observation learnt from
    tick: float
    flow: Flow
    arrivals: Arrivals
    busy: float
    moved: float  # when a task was last seen taken, or none waited
    service: ServiceTime = field(default_factory=ServiceTime)
    levels: Levels = field(default_factory=Levels)
    price: Price = field(default_factory=Price)

    def still_busy(self, slots: int) -> float:
        """Seconds that a slot which is busy now takes for each task, on average.

        Where all have taken none for longer than chance explains, long tasks hold them, and may do so as long again.
        """
        pause, service = self.seen - self.moved, self.service
        held = pause > service.cautious and pause * slots > HELD * service.seconds
        return pause if held else service.cautious


def learn(
    before: Learnt | None,
    fleet: Fleet,
    target: float,
    concurrency: int,
    limit: int,
    interval: float,
    observation: Observation,
) -> Learnt:
    """Take in an observation; one comes every `interval` seconds, or sooner. There may be `limit` pods."""
    now = observation.now
    busy = float(_busy_slots(fleet, concurrency, observation))
    if before is None:
        flow = first_flow(observation)
        return Learnt(now, interval, flow, _first_arrivals(flow, observation), busy, now)
    gap = now - before.seen
    served = gap * (busy + before.busy) / 2 / before.service.seconds
    flow_or_none = next_flow(before.flow, before.arrivals, served, observation)
    if flow_or_none is None:
        flow = first_flow(observation)
        arrivals = _first_arrivals(flow, observation)
        return replace(before, seen=now, flow=flow, arrivals=arrivals, busy=busy, moved=now)
    flow = flow_or_none
    service, price = before.service, before.price
    long_gap = max(LONG_GAP, 2 * interval)
    # What goes without a worker of ours was trimmed, or others did it. One may be at work before it shows as ready.
    at_work = fleet.ready or fleet.starting or busy or before.busy
    if gap <= long_gap and at_work and flow.exact and before.flow.exact:
        acknowledged = max(0.0, flow.acknowledged - before.flow.acknowledged)
        service = service.advance(gap, (busy + before.busy) / 2, acknowledged)
    # Where all the pods that there may be are ready and more than they can take next wait, no price helps.
    full = len(fleet.ready) >= limit and observation.waiting > limit * concurrency
    if gap <= LONG_GAP and not full:  # after a longer one the last delivery may be long ago, its age tells of no wait
        delivered = flow.delivered - before.flow.delivered
        if delivered > 0 and observation.last_delivered_age is not None:
            is_late = observation.last_delivered_age > target
            price = price.learn(delivered if is_late else 0.0, 0.0 if is_late else delivered)
    span = max(2 * target, REMEMBERED) + 2.0
    arrivals = before.arrivals
    if flow.added > before.flow.added and gap > LONG_GAP and observation.oldest_waiting_age is not None:
        first = now - observation.oldest_waiting_age
        if first > before.seen:
            arrivals = arrivals.extend(first, before.flow.added, span)
    arrivals = arrivals.extend(now, flow.added, span)
    # While marks settle, looks come at their time, not at the poll's.
    tick = before.tick if fleet.marked else before.tick + 0.2 * (min(gap, long_gap) - before.tick)
    waits_on = observation.waiting and fleet.ready and flow.delivered <= before.flow.delivered
    moved = before.moved if waits_on else now
    return Learnt(now, tick, flow, arrivals, busy, moved, service, before.levels, price)


def _first_arrivals(flow: Flow, observation: Observation) -> Arrivals:
    now = observation.now
    if observation.waiting and observation.oldest_waiting_age is not None:
        return Arrivals((now - observation.oldest_waiting_age, now), (flow.delivered, flow.added))
    return Arrivals((now,), (flow.added,))


def _busy_slots(fleet: Fleet, concurrency: int, observation: Observation) -> int:
    if fleet.shared_names:
        return min(observation.pending, len(fleet.ready) * concurrency)
    return sum([concurrency if held > concurrency else held for held in fleet.held])

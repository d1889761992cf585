"""Entries added, delivered and acknowledged since we began to look, whatever the server counts."""

from __future__ import annotations

from dataclasses import dataclass

from streamqueue.scaling.deadline.arrivals import Arrivals
from streamqueue.scaling.model import Observation


@dataclass(frozen=True, slots=True)
class Flow:
    """Cumulative counts on a scale of their own; only differences mean anything."""

    added: float
    delivered: float
    pending: int
    server_added: int | None  # the server's own counter, where it has one
    exact: bool  # False: a guess, good enough to plan with, not to measure service times by

    @property
    def acknowledged(self) -> float:
        return self.delivered - self.pending


def first_flow(observation: Observation) -> Flow:
    waiting = max(observation.waiting, observation.waiting_likely or 0)
    added = float(observation.entries_added or waiting)
    return Flow(
        added,
        added - waiting,
        observation.pending,
        observation.entries_added,
        observation.entries_added is not None and observation.waiting_exact,
    )


def next_flow(flow: Flow, arrivals: Arrivals, served: float, observation: Observation) -> Flow | None:
    """The counts now; None where they can't follow from those before (a new stream, a replay).

    `served` is the number of tasks that the fleet is expected to have finished since. From Redis 7.0 on the
    server counts entries added. Before, and where the waiting are only counted up to a cap, deliveries follow
    from when the entry last delivered was added, read off the arrivals recorded so far.
    """
    head = None if observation.last_delivered_age is None else observation.now - observation.last_delivered_age
    server = observation.entries_added
    if server is not None and flow.server_added is not None:
        added = flow.added + (server - flow.server_added)
        if observation.waiting_exact:
            delivered = added - observation.waiting
        else:
            delivered = flow.delivered if head is None else arrivals.at(head)
            delivered = min(max(delivered, flow.delivered), added - observation.waiting)
        # Retries that wait again have come anew.
        again = min(max(0.0, flow.delivered - delivered), observation.retries)
        added, delivered = added + again, delivered + again
        if added < flow.added or delivered < flow.delivered - 0.5:
            return None
        return Flow(added, delivered, observation.pending, server, observation.waiting_exact)
    if server is not None or flow.server_added is not None:
        return None
    least = flow.delivered + max(0, observation.pending - flow.pending)
    behind = head is not None and head <= arrivals.times[-1]
    if head is None:  # nothing was delivered yet, or under ids that tell no time
        delivered = least
    elif behind:
        delivered = max(least, arrivals.at(head))
    else:
        delivered = max(flow.added, least + served)
    added = max(flow.added, delivered + observation.waiting)
    return Flow(added, added - observation.waiting, observation.pending, None, behind and observation.waiting_exact)

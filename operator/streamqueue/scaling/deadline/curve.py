"""What has to be started by when, and what the fleet can start by then."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from streamqueue.scaling.deadline.arrivals import Arrivals

ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Outlook:
    """The next seconds in steps of `step`, counted in entries since the stream began.

    `due[j]`: entries that must have been started at time j * step; `there[j]`: entries that exist by then.
    """

    step: float
    due: Sequence[float]
    there: Sequence[float]
    started: float


def look_ahead(
    arrivals: Arrivals, started: float, rate: float, allowance: float, horizon: float, steps: int
) -> Outlook:
    """Each entry is due `allowance` seconds after it was added; arrivals go on at `rate`."""
    step = horizon / steps
    now, added = arrivals.times[-1], arrivals.added
    known = min(steps, int(allowance / step)) + 1  # steps whose entries are all there already
    due = arrivals.at_each([now + j * step - allowance for j in range(known)])
    due += [added + rate * (j * step - allowance) for j in range(known, steps + 1)]
    there = [added + rate * step * j for j in range(steps + 1)]
    return Outlook(step, due, there, started)


def starts_per_step(
    outlook: Outlook, slots: float, held: float, joining: Sequence[float], concurrency: int, service: float
) -> list[float]:
    """Entries that can be started in each step: by `slots`, which take `held` seconds a task, and by the pods
    `joining` in so many seconds, which take `service`.
    """
    step = outlook.step
    capacity = [slots * step / held] * (len(outlook.due) - 1)
    for eta in joining:
        add_pods(capacity, eta, concurrency, step, service)
    return capacity


def add_pods(capacity: list[float], eta: float, slots: float, step: float, service: float) -> None:
    """Add `slots` that come `eta` seconds from now: each starts one entry at once, then one per service time."""
    first = int(eta / step)
    if first >= len(capacity):
        return
    capacity[first] += slots * (1 + ((first + 1) * step - eta) / service)
    later = slots * step / service
    for j in range(first + 1, len(capacity)):
        capacity[j] += later


def is_late(outlook: Outlook, free: float, capacity: Sequence[float]) -> bool:
    """Whether `lateness` without more pods is more than an error of rounding; cheap where it is not."""
    due, there, started = outlook.due, outlook.there, outlook.started
    if due[0] <= started:
        started = min(started + free, there[0])
        for must, ours, most in zip(due, capacity, there[1:], strict=False):
            if must > started:
                break
            started += ours
            if started > most:
                started = most
        else:
            return due[-1] - started > ROUNDING
    return sum(lateness(outlook, free, capacity, [0.0] * len(capacity), 0)) > ROUNDING


def lateness(
    outlook: Outlook, free: float, capacity: Sequence[float], extra: Sequence[float], pods: float
) -> tuple[float, float]:
    """Entries started late, and the seconds by which entries are overdue in sum, with `pods` more pods.

    `free` slots take an entry at once; `capacity` is what the fleet starts per step, `extra` what each
    further pod adds.
    """
    due, there, step = outlook.due, outlook.there, outlook.step
    started = outlook.started
    late = overdue = 0.0
    behind = due[0] - started
    after = started + free
    if after > there[0]:
        after = there[0]
    if behind > 0:
        late = min(after - started, behind)
    started = after
    for must, ours, more, most in zip(due, capacity, extra, there[1:], strict=False):
        behind = must - started
        after = started + ours + pods * more
        if after > most:
            after = most
        if behind > 0:
            overdue += behind * step
            late += min(after - started, behind)
        started = after
    return late + max(0.0, due[-1] - started), overdue

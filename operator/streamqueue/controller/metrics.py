"""Prometheus metrics of the operator. What isn't known has no series: a zero would be a lie."""

from __future__ import annotations

from collections import Counter as Tally
from contextlib import suppress

from prometheus_client import Counter, Gauge, Histogram

from streamqueue.controller import pods as workers
from streamqueue.controller.assess import Facts
from streamqueue.controller.store import Key
from streamqueue.scaling.model import PodState
from streamqueue.streams.snapshot import Snapshot

_QUEUE = ("namespace", "queue")
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


def _gauge(name: str, text: str) -> Gauge:
    return Gauge(f"streamqueue_{name}", text, _QUEUE)


LAG = _gauge("lag", "Entries that wait for delivery.")
LAG_KNOWN = _gauge("lag_known", "1 where the lag is exact, 0 where it is a lower bound.")
PENDING = _gauge("pending", "Entries delivered and not acknowledged.")
OLDEST_WAITING = _gauge("oldest_waiting_seconds", "Age of the oldest entry that waits for delivery.")
OLDEST_PENDING = _gauge("oldest_pending_seconds", "Time since the oldest pending entry was last delivered.")
DEAD_LETTERS = _gauge("dead_letters", "Entries in the group's dead-letter stream.")
DESIRED = _gauge("desired_replicas", "Replicas that the last decision asks for.")
REDIS_UP = _gauge("redis_up", "1 where the last look at the stream succeeded.")
REPLICAS = Gauge("streamqueue_replicas", "Worker pods by state.", (*_QUEUE, "state"))
DECISIONS = Counter("streamqueue_decisions_total", "Decisions that changed the number of replicas.", _QUEUE)
RECOVERED = Counter("streamqueue_reclaimed_total", "Entries taken back from dead or failed workers.", _QUEUE)
BUSY_LEAVING = Counter(
    "streamqueue_busy_pods_terminated_total", "Pods told to go, by whomever, with entries in their hands.", _QUEUE
)
SNAPSHOT = Histogram("streamqueue_snapshot_seconds", "Reading all due queues of one endpoint.", buckets=_SECONDS)
APPLY = Histogram("streamqueue_apply_seconds", "Bringing one queue's objects up to a decision.", buckets=_SECONDS)
LOOP_AGE = Gauge("streamqueue_loop_age_seconds", "Time since the loop last looked for due queues.")

_BY_QUEUE = (LAG, LAG_KNOWN, PENDING, OLDEST_WAITING, OLDEST_PENDING, DEAD_LETTERS, DESIRED, REDIS_UP)


def show(key: Key, facts: Facts) -> None:
    """What one round found out."""
    _set(REDIS_UP, key, int(facts.snapshot is not None))
    _set(DESIRED, key, facts.decision.replicas if facts.decision else None)
    for gauge, value in _counters(facts.snapshot).items():
        _set(gauge, key, value)
    states = Tally(workers.state(body) for body in facts.pods)
    for state in PodState:
        REPLICAS.labels(*key, state).set(states[state])


def forget(key: Key) -> None:
    """The queue is gone, and so are its series."""
    for gauge in _BY_QUEUE:
        _set(gauge, key, None)
    for state in PodState:
        with suppress(KeyError):
            REPLICAS.remove(*key, state)
    for counter in (DECISIONS, RECOVERED, BUSY_LEAVING):
        with suppress(KeyError):
            counter.remove(*key)


def _counters(snapshot: Snapshot | None) -> dict[Gauge, float | None]:
    if snapshot is None:
        return dict.fromkeys((LAG, LAG_KNOWN, PENDING, OLDEST_WAITING, OLDEST_PENDING, DEAD_LETTERS))
    return {
        LAG: snapshot.undelivered,
        LAG_KNOWN: int(snapshot.lag_known),
        PENDING: snapshot.pending,
        OLDEST_WAITING: _age(snapshot.oldest_waiting_age, snapshot.undelivered),
        OLDEST_PENDING: _age(snapshot.oldest_pending_age, snapshot.pending),
        DEAD_LETTERS: snapshot.dead_letters,
    }


def _age(age: float | None, entries: int) -> float | None:
    """An empty list has no oldest entry: its age is truly zero."""
    return age if entries else 0.0


def _set(gauge: Gauge, key: Key, value: float | None) -> None:
    if value is not None:
        gauge.labels(*key).set(value)
    else:
        with suppress(KeyError):
            gauge.remove(*key)

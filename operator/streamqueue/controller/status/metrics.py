"""Prometheus metrics of the operator. What isn't known has no series: a zero would be a lie."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Iterator
from contextlib import suppress

from prometheus_client import Counter, Gauge, Histogram, disable_created_metrics

from streamqueue.api.spec import TargetWait
from streamqueue.controller.cluster.store import Key
from streamqueue.controller.pods import states as workers
from streamqueue.controller.status.assess import Facts
from streamqueue.controller.status.progress import Progress
from streamqueue.controller.status.risks import risks
from streamqueue.maintenance import Cause
from streamqueue.scaling.model import PodState, Reason

# Labels are a queue's namespace and name; where there is a third, its values are those of an enum.
_QUEUE = ("namespace", "queue")
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)

disable_created_metrics()  # type: ignore[no-untyped-call]


def _gauge(name: str, text: str) -> Gauge:
    return Gauge(f"streamqueue_{name}", text, _QUEUE)


def _counter(name: str, text: str, *more: str) -> Counter:
    return Counter(f"streamqueue_{name}_total", text, (*_QUEUE, *more))


LAG = _gauge("lag", "Entries that wait for delivery.")
LAG_KNOWN = _gauge("lag_known", "1 where the lag is exact, 0 where it is a lower bound.")
PENDING = _gauge("pending", "Entries in workers' hands: delivered, not acknowledged, no retry that waits.")
OLDEST_WAITING = _gauge("oldest_waiting_seconds", "Age of the oldest entry that waits for delivery.")
RETRYING = _gauge("retrying", "Tasks that failed and wait for their next attempt; no worker holds them.")
OLDEST_PENDING = _gauge("oldest_pending_seconds", "Time since the oldest pending entry was last delivered.")
OUTBOXED = _gauge("outboxed", "Results on their way to streams that one script cannot reach together with the queue.")
STUCK = _gauge("results_stuck", "1 while some of those have waited, since the stream that they are for takes none.")
DEAD_LETTERS = _gauge("dead_letters", "Entries in the group's dead-letter stream.")
DESIRED = _gauge("desired_replicas", "Replicas that the last decision asks for.")
MAX_REPLICAS = _gauge("max_replicas", "spec.scaling.maxReplicas.")
TARGET_WAIT = _gauge("target_wait_seconds", "spec.scaling.targetWait, where the queue scales by it.")
HANDLER_TIMEOUT = _gauge("handler_timeout_seconds", "spec.handler.timeout.")
VISIBILITY_TIMEOUT = _gauge("visibility_timeout_seconds", "spec.delivery.visibilityTimeout.")
REDIS_UP = _gauge("redis_up", "1 where the last look at the stream succeeded.")
MAY_LOSE_WORK = _gauge("redis_may_lose_work", "1 where `RedisMayLoseWork` holds: evictions, no persistence, no memory.")
REPLICAS = Gauge("streamqueue_replicas", "Worker pods by state.", (*_QUEUE, "state"))
DECISIONS = _counter("decisions", "Decisions that changed the number of replicas, by reason.", "reason")
ADDED = _counter("added", "Entries added to the stream while the operator looked: at least so many.")
ACKNOWLEDGED = _counter("acknowledged", "Entries that left the group's hands meanwhile: at least so many.")
TRIMMED = _counter("trimmed_undelivered", "Entries that producers trimmed before a worker got them: at least so many.")
RECOVERED = _counter("reclaimed", "Entries taken back from dead or failed workers.")
LIVE_RETURNS = _counter("live_returns", "Entries taken back from workers that live: at least so many.", "cause")
BUSY_LEAVING = _counter("busy_pods_terminated", "Pods told to go, by whomever, with entries in their hands.")
SNAPSHOT = Histogram("streamqueue_snapshot_seconds", "Reading all due queues of one endpoint.", buckets=_SECONDS)
APPLY = Histogram("streamqueue_apply_seconds", "Bringing one queue's objects up to a decision.", buckets=_SECONDS)
LOOP_AGE = Gauge("streamqueue_loop_age_seconds", "Time since the loop last looked for due queues, 0 on a standby.")
LEADER = Gauge("streamqueue_leader", "1 on the pod that looks at the queues, 0 on a standby.")

_OF_THE_SPEC = (MAX_REPLICAS, TARGET_WAIT, HANDLER_TIMEOUT, VISIBILITY_TIMEOUT)
_OF_THE_STREAM = (LAG, LAG_KNOWN, PENDING, RETRYING, OLDEST_WAITING, OLDEST_PENDING, DEAD_LETTERS, OUTBOXED)
_BY_QUEUE = (*_OF_THE_SPEC, *_OF_THE_STREAM, DESIRED, REDIS_UP, MAY_LOSE_WORK)


def show(key: Key, facts: Facts) -> None:
    """What one round found out; a series of what it didn't find out ends."""
    found = dict(_found(facts))
    for gauge in _BY_QUEUE:
        _set(gauge, key, found.get(gauge))
    states = Tally(workers.state(body) for body in facts.pods)
    for state in PodState:
        REPLICAS.labels(*key, state).set(states[state])
    # Born at zero: Prometheus sees no increase in a counter that first shows up at one.
    for counter in (TRIMMED, RECOVERED, BUSY_LEAVING):
        counter.labels(*key)
    for reason in (Reason.SCALING_UP, Reason.SCALING_DOWN):
        DECISIONS.labels(*key, reason)
    for cause in Cause:
        # Nobody can tell whether an owner lives that is named after no pod.
        if facts.shared_consumers:
            _remove(LIVE_RETURNS, *key, cause)
        else:
            LIVE_RETURNS.labels(*key, cause)


def show_stuck(key: Key, stuck: bool) -> None:
    """Whether `ResultsStuck` holds: known only at the end of a round."""
    STUCK.labels(*key).set(stuck)


def count(key: Key, progress: Progress, trimmed: int) -> None:
    """What came and went since the last look, and what was lost."""
    TRIMMED.labels(*key).inc(trimmed)
    ADDED.labels(*key).inc(progress.added)
    ACKNOWLEDGED.labels(*key).inc(progress.acknowledged)


def forget(key: Key) -> None:
    """The queue is gone, and so are its series."""
    for metric in (*_BY_QUEUE, STUCK, ADDED, ACKNOWLEDGED, TRIMMED, RECOVERED, BUSY_LEAVING):
        _remove(metric, *key)
    for state in PodState:
        _remove(REPLICAS, *key, state)
    for reason in Reason:
        _remove(DECISIONS, *key, reason)
    for cause in Cause:
        _remove(LIVE_RETURNS, *key, cause)


def _found(facts: Facts) -> Iterator[tuple[Gauge, float | None]]:
    yield REDIS_UP, int(facts.snapshot is not None)
    if facts.decision:
        yield DESIRED, facts.decision.replicas
    if facts.durability:
        warned = any(risks(facts.durability))
        yield MAY_LOSE_WORK, warned if warned or facts.durability.is_known else None
    if facts.spec:
        yield MAX_REPLICAS, facts.spec.scaling.max_replicas
        target = facts.spec.scaling.target
        yield TARGET_WAIT, target.seconds if isinstance(target, TargetWait) else None
        yield HANDLER_TIMEOUT, facts.spec.handler.timeout
        yield VISIBILITY_TIMEOUT, facts.spec.delivery.visibility_timeout
    if facts.snapshot:
        snapshot = facts.snapshot
        yield LAG, snapshot.undelivered
        yield LAG_KNOWN, int(snapshot.lag_known)
        yield PENDING, snapshot.pending
        yield RETRYING, snapshot.retrying
        yield OLDEST_WAITING, _age(snapshot.oldest_waiting_age, snapshot.undelivered)
        yield OLDEST_PENDING, _age(snapshot.oldest_pending_age, snapshot.pending)
        yield DEAD_LETTERS, snapshot.dead_letters
        yield OUTBOXED, snapshot.outboxed


def _age(age: float | None, entries: int) -> float | None:
    """An empty list has no oldest entry: its age is truly zero."""
    return age if entries else 0.0


def _set(gauge: Gauge, key: Key, value: float | None) -> None:
    if value is None:
        _remove(gauge, *key)
    else:
        gauge.labels(*key).set(value)


def _remove(metric: Gauge | Counter, *labels: str) -> None:
    with suppress(KeyError):
        metric.remove(*labels)

"""What Redis says and which workers there are, as one Observation. Pure."""

from __future__ import annotations

from streamqueue.api.spec import QueueSpec, TargetBacklog
from streamqueue.scaling.model import Observation, Pod
from streamqueue.streams.snapshot import Snapshot


def observation(
    snapshot: Snapshot | None,
    workers: tuple[Pod, ...],
    *,
    now: float,
    replicas: int,
    rollout: bool = False,
    created: int = 0,
) -> Observation:
    """`now` and the workers' times are on one clock. `replicas`: workers asked for; so many are `created`, at least.

    Without a snapshot: unknown.
    """
    if snapshot is None:
        return Observation(now=now, known=False, pods=workers, replicas=replicas, rollout=rollout, created=created)
    return Observation(
        now=now,
        known=True,
        waiting=snapshot.undelivered + snapshot.due,
        waiting_exact=snapshot.lag_known,
        waiting_likely=_likely(snapshot),
        # One worker is enough for an outbox, however full; none would leave it to the controller alone.
        pending=snapshot.pending + min(snapshot.outboxed, 1),
        oldest_waiting_age=_oldest(snapshot),
        retries=snapshot.due - snapshot.delayed_due,
        entries_added=None if snapshot.entries_added is None else snapshot.entries_added + snapshot.delayed_due,
        last_delivered_age=_age(snapshot.last_delivered_id, snapshot.time),
        next_due=snapshot.next_due,
        pods=workers,
        replicas=replicas,
        rollout=rollout,
        created=created,
    )


def count_cap(spec: QueueSpec) -> int:
    """How far waiting entries need to be counted: what the whole fleet could take at once, and one more."""
    target = spec.scaling.target
    a_full_batch = spec.handler.concurrency * spec.handler.batch
    per_replica = target.tasks if isinstance(target, TargetBacklog) else a_full_batch
    return spec.scaling.max_replicas * per_replica + 1


def _oldest(snapshot: Snapshot) -> float | None:
    """Of entries and what is due; unknown where one of them is."""
    ages = []
    if snapshot.undelivered:
        ages.append(snapshot.oldest_waiting_age)
    if snapshot.due:
        ages.append(snapshot.oldest_due_age)
    known = [age for age in ages if age is not None]
    return max(known) if known and len(known) == len(ages) else None


def _likely(snapshot: Snapshot) -> int | None:
    """Counting stops at some megabytes, far below what a fleet with a backlog of thousands a replica is for."""
    if snapshot.lag_known or snapshot.entries_added is None or snapshot.entries_read is None:
        return None
    return min(snapshot.length, snapshot.entries_added - snapshot.entries_read) + snapshot.due


def _age(entry_id: str | None, now: float) -> float | None:
    """Seconds since an entry was added, by the time in its id; None for ids that producers made up."""
    if not entry_id:
        return None
    age = now - int(entry_id.partition("-")[0]) / 1000
    return max(age, 0.0) if age < 10 * 365 * 86400 else None

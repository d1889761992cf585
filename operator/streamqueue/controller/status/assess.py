"""What is to be said of a queue: its conditions. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from streamqueue.api.conditions import Condition
from streamqueue.api.ignored import ignored
from streamqueue.api.spec import Protocol, QueueSpec, Retention
from streamqueue.controller.kinds import Body
from streamqueue.controller.pods import states as workers
from streamqueue.controller.pods.faults import READINESS, fault
from streamqueue.controller.status.risks import risks
from streamqueue.controller.status.trimming import lost_pending
from streamqueue.controller.trouble import Trouble
from streamqueue.scaling.memory import LEAST_PATIENCE
from streamqueue.scaling.model import Decision, PodState, Reason
from streamqueue.streams.durability import Durability
from streamqueue.streams.entry_ids import YEAR_2000, entry_order
from streamqueue.streams.snapshot import Snapshot


@dataclass(slots=True)
class Facts:
    """All that one round found out. None: not found out this time."""

    spec: QueueSpec | None = None
    generation: int | None = None  # of the spec that was looked at
    rejected: Trouble | None = None  # the spec can't be used, or the API server refused what we made of it
    conflict: Trouble | None = None  # an object of ours can't be had
    unwritten: Trouble | None = None  # the API server has taken no write for a while, and may take the next
    redis: Trouble | None = None  # the server can't be read
    stream: Trouble | None = None  # the server can, the stream can't
    snapshot: Snapshot | None = None
    decision: Decision | None = None
    pods: list[Body] = field(default_factory=list)  # without those that are over
    unmade: Trouble | None = None  # more pods are asked for, and the cluster won't have them
    durability: Durability | None = None
    stuck: Mapping[str, Trouble] = field(default_factory=dict)  # streams that have taken no results for a while
    trimmed: int = 0  # undelivered entries that producers trimmed of late
    shared_consumers: bool = False
    reads_on: bool = False  # after SIGTERM
    now: float = 0.0  # epoch seconds
    patience: float = LEAST_PATIENCE  # seconds until a pod that starts isn't expected to work any more


def conditions(facts: Facts) -> list[Condition]:
    return [_accepted(facts), _reachable(facts), _ready(facts), _scaling(facts), *_warnings(facts)]


def _accepted(facts: Facts) -> Condition:
    if facts.rejected:
        return Condition("Accepted", False, facts.rejected.reason, facts.rejected.message)
    return Condition("Accepted", True, "Valid", "the spec can be used")


def _reachable(facts: Facts) -> Condition:
    if facts.redis:
        return Condition("RedisReachable", False, facts.redis.reason, facts.redis.message)
    if facts.snapshot or facts.stream:
        return Condition("RedisReachable", True, "Reachable", "the server answers")
    return Condition("RedisReachable", None, "NotRead", "the server wasn't asked")


def _ready(facts: Facts) -> Condition:
    for trouble in (facts.rejected, facts.conflict, facts.redis, facts.stream, _no_working_pod(facts)):
        if trouble:
            return Condition("Ready", False, trouble.reason, trouble.message)
    if facts.snapshot is None:
        return Condition("Ready", None, "NotRead", "the stream wasn't read")
    return Condition("Ready", True, "Working", "the queue is read and its workers can run")


def _scaling(facts: Facts) -> Condition:
    decision = facts.decision
    if decision is None:
        return Condition("ScalingActive", False, "NoDecision", "see the other conditions")
    if facts.unwritten:
        return Condition("ScalingActive", False, facts.unwritten.reason, facts.unwritten.message)
    if decision.reason in (Reason.PAUSED, Reason.UNKNOWN):
        return Condition("ScalingActive", False, decision.reason, decision.sentence)
    return Condition("ScalingActive", True, "Scaling", "the number of workers follows the queue")


def _warnings(facts: Facts) -> Iterator[Condition]:
    """Conditions that are there only while they hold."""
    if facts.decision and facts.decision.reason is Reason.PINNED:
        message = "spec.scaling.replicas pins the count: remove that field to scale by the queue again"
        yield Condition("Pinned", True, "Pinned", message)
    if facts.spec and (useless := list(ignored(facts.spec))):
        yield Condition("FieldsIgnored", True, "NoEffect", "; ".join(useless))
    failing = [trouble for body in facts.pods if (trouble := _failure(body, facts))]
    if failing:
        yield Condition("PodsFailing", True, failing[0].reason, f"{len(failing)} pod(s): {failing[0].message}")
    elif facts.unmade:
        yield Condition("PodsFailing", True, facts.unmade.reason, facts.unmade.message)
    unplaced = [said for body in facts.pods if (said := workers.unschedulable(body))]
    if unplaced:
        yield Condition("PodsUnschedulable", True, "Unschedulable", f"{len(unplaced)} pod(s): {unplaced[0]}")
    if facts.shared_consumers:
        yield Condition("ConsumersShared", True, "NamesAreNotPods", _SHARED)
    if facts.reads_on:
        yield Condition("DrainsOnSIGTERM", False, "ReadsOn", _READS_ON)
    if facts.durability:
        yield from risks(facts.durability)
    if facts.snapshot and facts.spec:
        yield from _stream_warnings(facts.snapshot, facts.spec)
        yield from _stuck(facts.snapshot, facts.stuck)
    yield from _trimmed(facts)


_SHARED = (
    "consumers aren't named after their pods, so busy pods can't be told from idle ones: workers go only when nothing "
    "is pending, and a dead worker's entries come back after the visibility timeout. "
    "Name the consumer $STREAMQUEUE_CONSUMER to mend it"
)


_READS_ON = (
    "a worker went on reading after SIGTERM and is killed with its grace: a process that is PID 1 needs a handler of "
    "its own, signal.signal(signal.SIGTERM, stop), and a loop that ends when stop was called"
)


_GOING = (
    "pods can't be created: somebody deleted the Deployment, which stays until its last pod has ended, and starts "
    "none; another follows"
)


_TRIMS = (
    "a producer trims the stream itself (MAXLEN or MINID of XADD, or XTRIM): take that out, and let spec.retention "
    "trim what every group has acknowledged"
)


def _trimmed(facts: Facts) -> Iterator[Condition]:
    if facts.trimmed:
        message = f"at least {facts.trimmed} task(s) were trimmed before any worker got them, and are lost: {_TRIMS}"
        yield Condition("TrimmedByProducer", True, "UndeliveredTrimmed", message)
    elif facts.snapshot and lost_pending(facts.snapshot):
        message = f"tasks were trimmed while workers held them, and are lost if those die: {_TRIMS}"
        yield Condition("TrimmedByProducer", True, "PendingTrimmed", message)


def _stream_warnings(snapshot: Snapshot, spec: QueueSpec) -> Iterator[Condition]:
    if snapshot.dead_letters:
        message = (
            f"{snapshot.dead_letters} task(s) failed {spec.delivery.max_deliveries} times or were refused: "
            "`streamqueue dlq ls` lists them with their causes"
        )
        is_full = snapshot.dead_letters >= spec.delivery.dead_letter_max_length
        if is_full:
            message += "; delivery.deadLetter.maxLength is reached: further tasks stay pending until there is room"
        yield Condition("DeadLetters", True, "DeadLettersFull" if is_full else "DeadLettered", message)
    late = snapshot.oldest_pending_age is not None and snapshot.oldest_pending_age > spec.delivery.visibility_timeout
    if late and snapshot.groups > 1 and not spec.delivery.reaches_others:
        message = (
            f"the stream has {snapshot.groups} groups, and a copy of a stuck entry would reach them all: it stays "
            "pending until a worker that claims takes it, or the other groups move to a stream of their own"
        )
        if spec.handler.protocol is Protocol.REDIS:
            message += "; where those can bear copies, spec.delivery.requeue: all-groups has them made"
        yield Condition("RequeueNeedsWorker", True, "SeveralGroups", message)
    blockers = [group for group in snapshot.trim_blockers if group != spec.group]
    if blockers and _kept(snapshot, spec.retention):
        message = f"nothing that group {blockers[0]} still needs is trimmed: it holds the stream at its oldest entry"
        yield Condition("TrimBlocked", True, "OtherGroup", message)


def _kept(snapshot: Snapshot, retention: Retention) -> bool:
    """Whether other groups keep what retention would remove. They always are a moment behind or ahead."""
    if snapshot.kept_id is None:
        return False
    longest, oldest = retention.max_length, retention.max_age
    if longest is not None and snapshot.length - (snapshot.kept_id != snapshot.first_id) > longest:
        return True
    added = entry_order(snapshot.kept_id)[0]
    return oldest is not None and added >= YEAR_2000 and snapshot.time - added / 1000 > oldest


def _stuck(snapshot: Snapshot, stuck: Mapping[str, Trouble]) -> Iterator[Condition]:
    for stream, why in sorted(stuck.items())[:1]:
        others = f" (and for {len(stuck) - 1} more)" if len(stuck) > 1 else ""
        message = f"{snapshot.outboxed} result(s) are in outboxes; stream {stream}{others} takes none: {why.message}"
        yield Condition("ResultsStuck", True, why.reason, message)


def _no_working_pod(facts: Facts) -> Trouble | None:
    failing: Trouble | None = None
    for body in facts.pods:
        trouble = _failure(body, facts)
        if trouble is None and workers.state(body) is PodState.READY:
            return None
        if trouble and trouble.reason == READINESS:
            return None  # nothing is sent to a worker: it takes its tasks nevertheless
        failing = failing or trouble
    return failing or facts.unmade


def unmade(deployment: Body | None) -> Trouble | None:
    """Why the cluster takes no more pods of this fleet: a quota, a policy, a ServiceAccount that isn't there."""
    if "foregroundDeletion" in (deployment or {}).get("metadata", {}).get("finalizers", ()):
        return Trouble("FailedCreate", _GOING)
    for condition in (deployment or {}).get("status", {}).get("conditions", []):
        if condition["type"] == "ReplicaFailure" and condition["status"] == "True":
            return Trouble("FailedCreate", f"pods can't be created: {condition.get('message', '')}")
    return None


def _failure(body: Body, facts: Facts) -> Trouble | None:
    found = fault(body, facts.now, facts.patience)
    return Trouble(found.word, f"pod {body['metadata']['name']}: {found.sentence}") if found else None

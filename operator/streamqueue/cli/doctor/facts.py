"""All that doctor finds out. None: could not be found out, which no check takes for good news."""

from __future__ import annotations

from dataclasses import dataclass, field
from shlex import quote

from streamqueue.api.spec import QueueSpec
from streamqueue.controller.kinds import Body
from streamqueue.streams import RedisProblem, Snapshot
from streamqueue.streams.durability import Durability
from streamqueue.streams.entries import Entry
from streamqueue.streams.pending_entries import PendingEntry


@dataclass(frozen=True, slots=True)
class Group:
    """A consumer group of the stream."""

    name: str
    last_delivered: str
    active: float | None  # seconds since the last command of any of its consumers; None without consumers


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamFacts:
    """What Redis knows of the queue."""

    snapshot: Snapshot
    later: Snapshot | None = None  # a second look, some seconds after
    server: Durability = field(default_factory=Durability)
    groups: tuple[Group, ...] = ()
    streams_nearby: tuple[str, ...] = ()  # names like the one that is missing
    tail: tuple[Entry, ...] = ()  # the newest entries, oldest first, payloads left out
    letters: tuple[Entry, ...] = ()  # the newest dead letters
    held: tuple[PendingEntry, ...] = ()  # the pending entries list, or its beginning
    held_complete: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterFacts:
    """What the API server knows of the queue; `unread` are kinds that the person may not read."""

    queue: Body
    pods: tuple[Body, ...] = ()
    cron_job: Body | None = None
    jobs: tuple[Body, ...] = ()
    budgets: tuple[Body, ...] = ()  # PodDisruptionBudgets of the namespace but the queue's own
    leases: tuple[Body, ...] | None = None  # of the operator
    unread: tuple[str, ...] = ()
    looked_at: bool = True  # False: the operator says that it doesn't
    cold_start: float | None = None  # seconds from a pod's creation until it is ready, as the operator has learnt it


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """One queue. On the straight way `cluster` is None and `spec` holds defaults that nobody chose."""

    again: str  # what to type after a command to mean this queue
    now: float  # unix seconds
    redis_cli: str = "redis-cli"  # what begins a command for its Redis
    context: str | None = None  # of the kubeconfig, where it isn't the current one
    spec: QueueSpec | None = None
    cluster: ClusterFacts | None = None
    stream: StreamFacts | None = None
    redis: RedisProblem | None = None
    unreachable: str = ""  # why there is no way to Redis from here, other than Redis itself

    @property
    def snapshot(self) -> Snapshot | None:
        """The first look; None without a group to look at."""
        found = self.stream.snapshot if self.stream else None
        return found if found and found.group_exists else None

    @property
    def configured(self) -> QueueSpec | None:
        """The spec, where somebody has written it."""
        return self.spec if self.cluster else None

    @property
    def pods(self) -> tuple[Body, ...]:
        return self.cluster.pods if self.cluster else ()

    def condition(self, kind: str) -> Body:
        """The queue's status condition of this type; empty where there is none."""
        if not self.cluster:
            return {}
        conditions = self.cluster.queue.get("status", {}).get("conditions", [])
        return next((each for each in conditions if each["type"] == kind), {})

    @property
    def context_option(self) -> str:
        """For kubectl, with a space before it."""
        return f" --context {quote(self.context)}" if self.context else ""

    @property
    def operator_pods(self) -> str:
        """The command that lists the operator's pods, in whichever namespace they are."""
        return f"kubectl get pods{self.context_option} -A -l app.kubernetes.io/name=streamqueue"

    @property
    def namespace(self) -> str:
        """The context, too, as options for kubectl, with a space before them."""
        return f"{self.context_option} -n {self.cluster.queue['metadata']['namespace']}" if self.cluster else ""

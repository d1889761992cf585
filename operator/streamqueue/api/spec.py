"""The StreamQueue spec as typed values, defaults included.

The CRD (`crds/streamqueue.yaml`) is the interface; these classes are what the rest of the code reads.
All durations are seconds.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

START_FROM = re.compile(r"0|\$|[0-9]{1,19}(-[0-9]{1,19})?")
"""Where a group may begin."""


class Protocol(StrEnum):
    """Who reads the stream in a worker pod."""

    REDIS = "redis"  # the handler image runs its own XREADGROUP loop
    SDK = "sdk"  # the handler image runs a Worker of this package
    HTTP = "http"  # the runner reads, and POSTs to the handler image


class RetentionPolicy(StrEnum):
    NONE = "none"
    ACKNOWLEDGED = "acknowledged"


@dataclass(frozen=True, slots=True)
class SecretKey:
    """A key of a Secret in the queue's own namespace."""

    name: str
    key: str


class RedisMode(StrEnum):
    AUTO = "auto"  # a server, or a cluster that tells by redirecting, or what sentinels tell where the URL names them
    STANDALONE = "standalone"
    CLUSTER = "cluster"
    SENTINEL = "sentinel"


class RedisAuth(StrEnum):
    PASSWORD = "password"  # noqa: S105
    ENTRA = "entra"  # tokens of Microsoft Entra ID


@dataclass(frozen=True, slots=True)
class Redis:
    """Where the stream lives; exactly one of `url` and `secret_ref` is set."""

    url: str | None = None
    secret_ref: SecretKey | None = None
    mode: RedisMode = RedisMode.AUTO
    ca_secret_ref: SecretKey | None = None  # of the CA to trust, PEM
    auth: RedisAuth = RedisAuth.PASSWORD


@dataclass(frozen=True, slots=True)
class Body:
    """The one field of an entry that is the request's body, as it is."""

    field: str
    content_type: str = "application/json"


@dataclass(frozen=True, slots=True)
class Handler:
    """`port`, `path` and `body` are for protocol http; `body` None: all fields, as JSON."""

    image: str
    protocol: Protocol = Protocol.REDIS
    concurrency: int = 1
    batch: int = 1
    timeout: float = 120.0
    port: int = 8080
    path: str = "/"
    body: Body | None = None
    processes: int = 1  # that share `concurrency`, with protocol sdk
    metrics_port: int | None = None  # of the worker, with protocol sdk or http; None: not served


@dataclass(frozen=True, slots=True)
class Backoff:
    """Before a retry: `initial`, doubled with each attempt, at most `max`."""

    initial: float = 1.0
    max: float = 300.0


class Requeue(StrEnum):
    """Where work may come back as a copy, which every group of the stream gets."""

    SINGLE_GROUP = "single-group"  # only while the stream has one
    ALL_GROUPS = "all-groups"


@dataclass(frozen=True, slots=True)
class Delivery:
    visibility_timeout: float = 300.0
    max_deliveries: int = 5
    dead_letter_max_length: int = 10_000
    backoff: Backoff = field(default_factory=Backoff)
    requeue: Requeue = Requeue.SINGLE_GROUP  # for plain loops

    @property
    def reaches_others(self) -> bool:
        """Whether copies are made though other groups get them too."""
        return self.requeue is Requeue.ALL_GROUPS


@dataclass(frozen=True, slots=True)
class Reclaim:
    schedule: str | None = None  # None: every 5 minutes, at an offset of the queue's own
    idle_consumer_ttl: float = 3600.0
    suspend: bool = False


@dataclass(frozen=True, slots=True)
class Retention:
    policy: RetentionPolicy = RetentionPolicy.NONE
    max_age: float | None = None
    max_length: int | None = None


@dataclass(frozen=True, slots=True)
class Next:
    """Where results go. `redis` None: to a stream on the queue's own endpoint."""

    stream: str
    redis: Redis | None = None


@dataclass(frozen=True, slots=True)
class ScaleDown:
    delay: float = 30.0  # for targetBacklog: how long a lower count must hold before pods go; targetWait learns it
    max_step: int | None = None


@dataclass(frozen=True, slots=True)
class ScaleUp:
    max_step: int | None = None


@dataclass(frozen=True, slots=True)
class TargetWait:
    """95 % of tasks start within so many seconds."""

    seconds: float = 30.0


@dataclass(frozen=True, slots=True)
class TargetBacklog:
    """Tasks for each worker, waiting and in work."""

    tasks: int


@dataclass(frozen=True, slots=True)
class Scaling:
    """How many workers may run, and what for."""

    min_replicas: int = 0
    max_replicas: int = 10
    target: TargetWait | TargetBacklog = field(default_factory=TargetWait)
    replicas: int | None = None  # pins the count; written by the scale subresource
    paused: bool = False
    polling_interval: float = 1.0
    scale_down: ScaleDown = field(default_factory=ScaleDown)
    scale_up: ScaleUp = field(default_factory=ScaleUp)
    # Known from the handler: slots of a pod, and whether its worker takes no more tasks when told to.
    concurrency: int = 1
    cordons: bool = False


@dataclass(frozen=True, slots=True)
class QueueSpec:
    redis: Redis
    stream: str
    group: str
    handler: Handler
    start_from: str = "0"
    delivery: Delivery = field(default_factory=Delivery)
    results_ttl: float | None = None  # None: no states or results are kept
    reclaim: Reclaim = field(default_factory=Reclaim)
    retention: Retention = field(default_factory=Retention)
    next: Next | None = None
    scaling: Scaling = field(default_factory=Scaling)
    template: Mapping[str, Any] = field(default_factory=dict)

    @property
    def next_redis(self) -> Redis | None:
        """The other endpoint, which results go to; None without one."""
        return self.next.redis if self.next else None

    @property
    def endpoints(self) -> tuple[Redis, ...]:
        """All that the queue's pods talk to, its own first."""
        return (self.redis, self.next_redis) if self.next_redis else (self.redis,)

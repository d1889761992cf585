"""Redis Streams: scripts beside the few functions that call them, connections, typed errors."""

from streamqueue.streams.connection import connect
from streamqueue.streams.errors import ProblemKind, RedisProblem, classify
from streamqueue.streams.group import ensure_group
from streamqueue.streams.snapshot import ConsumerView, LagRule, Snapshot, SnapshotRequest, take_snapshot, take_snapshots

__all__ = [
    "ConsumerView",
    "LagRule",
    "ProblemKind",
    "RedisProblem",
    "Snapshot",
    "SnapshotRequest",
    "classify",
    "connect",
    "ensure_group",
    "take_snapshot",
    "take_snapshots",
]

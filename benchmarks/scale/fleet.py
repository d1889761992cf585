"""What a fleet of the benchmark did, from what the watch and Redis saw."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from tests.kube.view import Body, View

from streamqueue.simulate.figures import percentile


@dataclass(frozen=True)
class Came:
    """Seconds, counted from the first task; `pod_seconds` until the last task was done, and until no pod was left."""

    ready: float | None  # all replicas ready; None: never
    drained: float
    p50_wait: float
    p95_wait: float
    pod_seconds: float
    pod_seconds_to_zero: float
    zero: float
    started_twice: int
    cold_start: float  # median, from a pod's creation until it is ready


def waits(redis: Any, stream: str) -> list[float]:
    """Seconds from each task's addition to its first start, by Redis's clock, sorted."""
    first: dict[str, float] = {}
    for entry, row in redis.xrange(f"{{{stream}}}:starts"):
        first.setdefault(row["task"], _milliseconds(entry) - _milliseconds(row["task"]))
    return sorted(wait / 1000 for wait in first.values())


def drained(redis: Any, stream: str, group: str) -> float:
    """Seconds from the first task's addition to the last task's result, by Redis's clock."""
    first, last = redis.xrange(stream, count=1), redis.xrevrange(f"{{{stream}}}:g:{group}:results", count=1)
    return (_milliseconds(last[0][0]) - _milliseconds(first[0][0])) / 1000


def all_ready(view: View, deployment: str, replicas: int, since: float) -> float | None:
    """Seconds until so many replicas were ready at once."""
    seen = view.seen("deployments", deployment)
    return next(
        (when - since for when, body in seen if body.get("status", {}).get("readyReplicas", 0) >= replicas), None
    )


def lifetimes(view: View, names: list[str]) -> list[tuple[float, float]]:
    """When each pod was first and last seen, on the watch's clock."""
    spans = []
    for name in names:
        seen = view.seen("pods", name)
        spans.append((seen[0][0], seen[-1][0] if seen[-1][1]["deleted"] else math.inf))
    return spans


def cold_starts(view: View, names: list[str]) -> list[float]:
    """Seconds from when each pod was first seen until it was seen ready, sorted; those that never were left out."""
    found = []
    for name in names:
        seen = view.seen("pods", name)
        ready = next((when for when, body in seen if _is_ready(body)), None)
        if ready is not None:
            found.append(ready - seen[0][0])
    return sorted(found)


def _is_ready(pod: Body) -> bool:
    conditions = pod.get("status", {}).get("conditions", ())
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def pod_seconds(spans: list[tuple[float, float]], until: float) -> float:
    """How long pods existed, all together, before this time."""
    return sum(max(0.0, min(end, until) - begin) for begin, end in spans)


def measure(redis: Any, view: View, stream: str, group: str, pods: list[str], replicas: int, since: float) -> Came:
    """`since`: when the first task was added, on the watch's clock."""
    took, spans, done = waits(redis, stream), lifetimes(view, pods), drained(redis, stream, group)
    colds = cold_starts(view, pods)
    zero = max(end for _, end in spans)
    starts = len(redis.xrange(f"{{{stream}}}:starts"))
    return Came(
        ready=all_ready(view, stream, replicas, since),
        drained=done,
        p50_wait=percentile(took, 0.5),
        p95_wait=percentile(took, 0.95),
        pod_seconds=pod_seconds(spans, since + done),
        pod_seconds_to_zero=pod_seconds(spans, zero),
        zero=zero - since,
        started_twice=starts - len(took),
        cold_start=percentile(colds, 0.5),
    )


def _milliseconds(entry: str) -> float:
    return float(entry.partition("-")[0])

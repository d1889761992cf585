"""What a fleet did, from what the watch and Redis saw."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from tests.kube.view import View, is_ready

from streamqueue.simulate.figures import percentile

Span = tuple[float, float]


@dataclass(frozen=True)
class Came:
    """Seconds, counted from the first task. The fields with a default are not known of a fleet that was simulated."""

    drained: float  # the last task was done
    p50_wait: float
    p95_wait: float
    p99_wait: float
    late: float  # share of the tasks that waited longer than the target
    pod_seconds: float  # how long pods existed, all together, until the last task was done
    peak: int
    ready: float | None = None  # so many replicas as were wanted; None: never
    zero: float | None = None  # no pod was left
    pod_seconds_to_zero: float | None = None
    started_twice: int | None = None
    cold_start: float | None = None  # median, from a pod's creation until it is ready


def measure(
    redis: Any, view: View, stream: str, group: str, pods: list[str], *, replicas: int, target: float, since: float
) -> Came:
    """Of the Deployment that has the stream's name. `since`: when the first task was added, on the watch's clock."""
    took, spans, done = _waits(redis, stream), _lifetimes(view, pods), _drained(redis, stream, group)
    zero = max(end for _, end in spans)
    return Came(
        drained=done,
        p50_wait=percentile(took, 0.5),
        p95_wait=percentile(took, 0.95),
        p99_wait=percentile(took, 0.99),
        late=sum(wait > target for wait in took) / len(took),
        pod_seconds=_pod_seconds(spans, since + done),
        peak=max(sum(begin <= at < end for begin, end in spans) for at, _ in spans),
        ready=_ready(view, stream, replicas, since),
        zero=zero - since,
        pod_seconds_to_zero=_pod_seconds(spans, zero),
        started_twice=len(redis.xrange(f"{{{stream}}}:starts")) - len(took),
        cold_start=percentile(_cold_starts(view, pods), 0.5),
    )


def _waits(redis: Any, stream: str) -> list[float]:
    """Seconds from each task's addition to its first start, by Redis's clock, sorted."""
    first: dict[str, float] = {}
    for entry, row in redis.xrange(f"{{{stream}}}:starts"):
        first.setdefault(row["task"], _milliseconds(entry) - _milliseconds(row["task"]))
    return sorted(wait / 1000 for wait in first.values())


def _drained(redis: Any, stream: str, group: str) -> float:
    """Seconds from the first task's addition to the last task's result, by Redis's clock."""
    first, last = redis.xrange(stream, count=1), redis.xrevrange(f"{{{stream}}}:g:{group}:results", count=1)
    return (_milliseconds(last[0][0]) - _milliseconds(first[0][0])) / 1000


def _milliseconds(entry: str) -> float:
    return float(entry.partition("-")[0])


def _ready(view: View, deployment: str, replicas: int, since: float) -> float | None:
    """Seconds until so many replicas were ready at once."""
    seen = view.seen("deployments", deployment)
    return next(
        (when - since for when, body in seen if body.get("status", {}).get("readyReplicas", 0) >= replicas), None
    )


def _lifetimes(view: View, names: list[str]) -> list[Span]:
    """When each pod was first and last seen, on the watch's clock."""
    spans = []
    for name in names:
        seen = view.seen("pods", name)
        spans.append((seen[0][0], seen[-1][0] if seen[-1][1]["deleted"] else math.inf))
    return spans


def _pod_seconds(spans: list[Span], until: float) -> float:
    return sum(max(0.0, min(end, until) - begin) for begin, end in spans)


def _cold_starts(view: View, names: list[str]) -> list[float]:
    """Seconds from when each pod was first seen until it was seen ready, sorted; those that never were left out."""
    found = []
    for name in names:
        seen = view.seen("pods", name)
        ready = next((when for when, body in seen if is_ready(body)), None)
        if ready is not None:
            found.append(ready - seen[0][0])
    return sorted(found)

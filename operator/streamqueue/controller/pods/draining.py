"""What pods do that were told to go. Pure.

"No busy worker is killed" covers loops that stop reading on SIGTERM. Python as PID 1 without a handler never sees the
signal: it reads on until the grace is over, and is killed with entries in its hands.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from streamqueue.api.timestamps import epoch
from streamqueue.controller.kinds import Body

# A read that was blocked when the signal came may still bring something.
_LAST_READ = 6.0  # seconds


def told_to_go(pod: Body) -> float | None:
    """When, in epoch seconds, or None; the API's `deletionTimestamp` already holds the grace."""
    metadata = pod["metadata"]
    if "deletionTimestamp" not in metadata:
        return None
    return epoch(metadata["deletionTimestamp"]) - float(metadata.get("deletionGracePeriodSeconds") or 0)


def reading_on(pods: Iterable[Body], last_reads: Mapping[str, float]) -> list[str]:
    """Pods that read long after they were told to go. `last_reads`: by pod, epoch seconds of the cluster's clock."""
    found = []
    for pod in pods:
        told, read = told_to_go(pod), last_reads.get(pod["metadata"]["name"])
        if told is not None and read is not None and read > told + _LAST_READ:
            found.append(pod["metadata"]["name"])
    return found


def leaving(pods: Iterable[Body]) -> set[str]:
    """Pods that were told to go."""
    return {pod["metadata"]["name"] for pod in pods if "deletionTimestamp" in pod["metadata"]}

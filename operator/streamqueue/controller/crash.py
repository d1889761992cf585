"""Evidence that a worker died with entries in its hands. Pure; the maintenance room acts on it.

Idle is not dead, and "not in my pod list" is not dead: only a container that was seen terminated is, or a pod that
the API server told us is gone, once its grace period is over.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from streamqueue.controller.pods import epoch

Body = dict[str, Any]

# A container's times come in whole seconds, cut off: what was delivered in the second of its end may be its
# successor's.
_MARGIN = 1.0


@dataclass(frozen=True, slots=True)
class Crash:
    """A worker that is no more. `before`: entries delivered to it earlier than this (epoch seconds) were its own;
    `not_before`: when the evidence may be used."""

    id: str
    consumer: str
    before: float
    not_before: float
    cause: str


def crashes(pod: Body) -> Iterator[Crash]:
    """What the status of a living pod tells of its handler's former containers."""
    name = pod["metadata"]["name"]
    for status in pod.get("status", {}).get("containerStatuses", []):
        if status["name"] != "handler":
            continue
        for when in ("state", "lastState"):
            terminated = status.get(when, {}).get("terminated")
            if terminated and terminated.get("finishedAt"):
                finished = epoch(terminated["finishedAt"])
                identity = f"{pod['metadata']['uid']}/{terminated.get('containerID', finished)}"
                yield Crash(identity, name, finished - _MARGIN, 0.0, _cause(terminated))


def crash_of_gone(pod: Body, now: float, grace: float) -> Crash:
    """A pod that was deleted. Its name never comes back, so all that it holds is free.

    Where the kubelet reported no end of the container (a forced deletion, a lost node), the process may live on for
    the grace period.
    """
    handler = [s for s in pod.get("status", {}).get("containerStatuses", []) if s["name"] == "handler"]
    ended = bool(handler) and all("terminated" in status.get("state", {}) for status in handler)
    deleted = pod["metadata"].get("deletionTimestamp")
    # deletionTimestamp already holds the grace that the deletion asked for.
    since = min(now, epoch(deleted)) if deleted else now
    metadata = pod["metadata"]
    return Crash(f"{metadata['uid']}/gone", metadata["name"], math.inf, 0.0 if ended else since + grace, "pod deleted")


def _cause(terminated: Body) -> str:
    reason, code = terminated.get("reason", "Error"), terminated.get("exitCode")
    return f"container {reason}, exit code {code}"

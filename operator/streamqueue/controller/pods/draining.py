"""What pods do that were told to go. Pure.

"No busy worker is killed" covers loops that stop reading on SIGTERM. Python as PID 1 without a handler never sees the
signal: it reads on until the grace is over, and is killed with entries in its hands.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from streamqueue.api.spec import Handler, Protocol
from streamqueue.api.timestamps import epoch
from streamqueue.controller.kinds import Body
from streamqueue.controller.pods.consumers import pod_of
from streamqueue.controller.pods.crash import reader
from streamqueue.controller.pods.states import unready_since
from streamqueue.streams.snapshot import Snapshot

# A process that was told as it started may not have had its handler by then: it hears of it no second time.
_STARTING = 10.0  # seconds
# A read that was blocked when the signal came may still bring something.
_LAST_READ = 6.0  # seconds


def told_to_go(pod: Body) -> float | None:
    """When, in epoch seconds, or None; the API's `deletionTimestamp` already holds the grace."""
    metadata = pod["metadata"]
    if "deletionTimestamp" not in metadata:
        return None
    return epoch(metadata["deletionTimestamp"]) - float(metadata.get("deletionGracePeriodSeconds") or 0)


def last_reads(snapshot: Snapshot, skew: float) -> dict[str, float]:
    """By consumer, in epoch seconds of the cluster's clock; Redis's is ahead of it by `skew` seconds."""
    return {view.name: snapshot.time - skew - view.idle for view in snapshot.consumers if view.idle is not None}


def reading_on(pods: Iterable[Body], reads: Mapping[str, float]) -> list[str]:
    """Pods that read long after they were told to go. `reads`: see `last_reads`.

    Under the pods' own names: a worker of the SDK, whose name has more, stops taking by itself, and looks as if it read
    whenever it renews its leases.
    """
    found = []
    for pod in pods:
        told, read = told_to_go(pod), reads.get(pod["metadata"]["name"])
        if told is None or read is None or _was_unready(pod, told):
            continue
        if read > told + _LAST_READ and told > _started(pod) + _STARTING:
            found.append(pod["metadata"]["name"])
    return found


def _was_unready(pod: Body, told: float) -> bool:
    """By then: its node doesn't answer, and may not know yet. Its worker, which Redis hears, got no signal."""
    since = unready_since(pod)
    return since is not None and since < told


def _started(pod: Body) -> float:
    """When its reader's process began; -inf where the kubelet hasn't said."""
    states = [state for status in reader(pod) for state in status.get("state", {}).values()]
    return max((epoch(state["startedAt"]) for state in states if state.get("startedAt")), default=-math.inf)


def leaving(pods: Iterable[Body]) -> set[str]:
    """Pods that were told to go."""
    return {pod["metadata"]["name"] for pod in pods if "deletionTimestamp" in pod["metadata"]}


def ended(pods: Iterable[Body], handler: Handler, snapshot: Snapshot) -> set[str]:
    """Pods that were told to go, and whose worker has: ours delete their consumers as they end. What goes on in such a
    pod, as a handler of `protocol: http` that ignores SIGTERM does for the whole grace, is no worker.
    """
    going = leaving(pods)
    if not going or handler.protocol is Protocol.REDIS or snapshot.consumers_total > len(snapshot.consumers):
        return set()
    return going - {pod_of(view.name) for view in snapshot.consumers}

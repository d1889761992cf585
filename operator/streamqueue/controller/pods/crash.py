"""Evidence that a worker died with entries in its hands. Pure; the maintenance room acts on it.

Idle is not dead, and "not in my pod list" is not dead: only a container that was seen terminated is, or a pod that
the API server told us is gone, once its grace period is over.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from streamqueue.api.template import HANDLER, RUNNER
from streamqueue.api.timestamps import epoch
from streamqueue.controller.kinds import Body
from streamqueue.controller.pods.states import disrupted_at, is_over


@dataclass(frozen=True, slots=True)
class Crash:
    """A worker that is no more. `before`: entries delivered to it earlier than this (epoch seconds) were its own;
    `not_before`: when the evidence may be used; `charged`: False where the cluster was ending the pod, of which no task
    is to blame; `unseen`: the uid of a pod that was out of sight before its worker's end was seen."""

    id: str
    consumer: str
    before: float
    not_before: float
    cause: str
    charged: bool = True
    unseen: str = ""


def crashes(pod: Body, task_time: float) -> Iterator[Crash]:
    """What the status of a living pod tells of its reader's former container.

    Times of containers come in whole seconds, cut off: the end was within the second after `finishedAt`. `task_time`:
    the longest, in seconds, that a worker keeps what it has read.
    """
    for status in reader(pod):
        state = status.get("state", {})
        ended = state.get("terminated") or status.get("lastState", {}).get("terminated")
        if ended and ended.get("finishedAt"):
            yield from _of_container(pod, state, ended, task_time)
        elif ended:
            yield from _at_no_known_time(pod, state.get("running"), _cause(ended))


def reader(pod: Body) -> list[Body]:
    """The status, if there is one yet, of the container that reads the stream: the handler, or where that is the
    runner's sidecar, the runner. A handler that dies beside its runner takes no entries with it: the runner sees its
    requests fail.
    """
    statuses: list[Body] = pod.get("status", {}).get("containerStatuses", [])
    handler = [status for status in statuses if status["name"] == HANDLER]
    return handler or [status for status in statuses if status["name"] == RUNNER]


def _of_container(pod: Body, state: Body, ended: Body, task_time: float) -> Iterator[Crash]:
    finished, disrupted = epoch(ended["finishedAt"]), disrupted_at(pod)
    identity = f"{pod['metadata']['uid']}/{ended.get('containerID', finished)}"
    name, cause = pod["metadata"]["name"], _cause(ended)
    running = state.get("running")
    if state.get("terminated"):
        yield Crash(identity, name, finished, 0.0, cause, disrupted is None or finished < disrupted)
    elif not running:
        # Held back after a crash: nobody reads under this name for another ten seconds.
        yield Crash(f"{identity}/waits", name, finished + 1, 0.0, cause)
    elif (started := epoch(running["startedAt"])) > finished:
        yield Crash(f"{identity}/restarted", name, started, 0.0, cause)
    else:
        # Ended and restarted within a second: what was delivered in it may be the new container's, for as long as a
        # task may take.
        yield Crash(f"{identity}/restarted", name, finished, 0.0, cause)
        yield Crash(f"{identity}/unclear", name, finished + 1, started + 1 + task_time, cause)


def _at_no_known_time(pod: Body, running: Body | None, cause: str) -> Iterator[Crash]:
    """The kubelet found no trace of the container (ContainerStatusUnknown), as of evicted pods and after a reboot."""
    uid, name = pod["metadata"]["uid"], pod["metadata"]["name"]
    if running:
        yield Crash(f"{uid}/{running['startedAt']}/restarted", name, epoch(running["startedAt"]), 0.0, cause)
    elif is_over(pod):
        yield Crash(f"{uid}/over", name, math.inf, 0.0, cause, disrupted_at(pod) is None)


def crash_of_gone(pod: Body, now: float, grace: float) -> Crash:
    """A pod that was deleted. Its name never comes back, so all that it holds is free.

    Where the kubelet reported no end of the container (a forced deletion, a lost node), the process may live on for
    the grace period; and for ever where the pod is there, without the labels that our watch goes by.
    """
    reading = reader(pod)
    ended = bool(reading) and all("terminated" in status.get("state", {}) for status in reading)
    deleted = pod["metadata"].get("deletionTimestamp")
    # deletionTimestamp already holds the grace that the deletion asked for.
    since = min(now, epoch(deleted)) if deleted else now
    uid, name, charged = pod["metadata"]["uid"], pod["metadata"]["name"], disrupted_at(pod) is None
    not_before, unseen = (0.0, "") if ended else (since + grace, uid)
    return Crash(f"{uid}/gone", name, math.inf, not_before, "pod deleted", charged, unseen)


def _cause(terminated: Body) -> str:
    reason, code = terminated.get("reason", "Error"), terminated.get("exitCode")
    return f"container {reason}, exit code {code}"

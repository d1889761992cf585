"""Worker pods as the scaling law sees them. Pure."""

from __future__ import annotations

from typing import Any

from streamqueue.api.template import DELETION_COST, HANDLER
from streamqueue.api.timestamps import epoch
from streamqueue.controller.kinds import Body
from streamqueue.scaling.model import Pod, PodState

VICTIM_COST = "-1000"

# What a container waits for when it won't start by itself, and what we call it. The kubelet alternates between
# ErrImagePull and ImagePullBackOff: one name, or the condition would change with every try.
_FAILURES = {
    "ImagePullBackOff": "ImagePull",
    "ErrImagePull": "ImagePull",
    "ErrImageNeverPull": "ImagePull",
    "InvalidImageName": "ImagePull",
    "CrashLoopBackOff": "CrashLoop",
    "CreateContainerConfigError": "ContainerConfig",
    "CreateContainerError": "ContainerConfig",
    "RunContainerError": "ContainerConfig",
}

_DISRUPTED = "DisruptionTarget"

# Of a Secret that was just written: the kubelet has yet to see it.
_PASSING = "failed to sync"

# Unready by a probe of the user's own: its worker may well work.
READINESS = "ReadinessProbe"

# A kubelet that answers has removed a pod by then.
_LOST_AFTER = 60.0  # seconds after its grace

# A container that came back from a crash this recently may be in a loop yet.
_CONVALESCENCE = 60.0  # seconds


def is_over(body: Body) -> bool:
    """Evicted or finished: the ReplicaSet doesn't count it any more."""
    return body.get("status", {}).get("phase") in ("Failed", "Succeeded")


def is_lost(body: Body, now: float) -> bool:
    """Told to go, and still there long after its grace: its node doesn't answer. `now` in epoch s."""
    deleted = body["metadata"].get("deletionTimestamp")  # holds the grace
    return deleted is not None and now - epoch(deleted) > _LOST_AFTER


def disrupted_at(body: Body) -> float | None:
    """When the cluster began to end the pod (a drain, a preemption, a node in trouble), epoch s. None: it didn't."""
    condition = _condition(body, _DISRUPTED)
    return epoch(condition["lastTransitionTime"]) if condition.get("status") == "True" else None


def remains(body: Body) -> Body:
    """Of a pod that is gone, what tells how it ended."""
    kept = ("uid", "name", "namespace", "deletionTimestamp")
    ended = body.get("status", {}).get("containerStatuses", [])
    statuses = [{"name": each["name"], "state": each.get("state", {})} for each in ended]
    conditions = [condition] if (condition := _condition(body, _DISRUPTED)) else []
    return {
        "metadata": {name: body["metadata"][name] for name in kept if name in body["metadata"]},
        "status": {"containerStatuses": statuses, "conditions": conditions},
    }


def is_marked(body: Body) -> bool:
    return body["metadata"].get("annotations", {}).get(DELETION_COST) == VICTIM_COST  # type: ignore[no-any-return]


def state(body: Body) -> PodState:
    if "deletionTimestamp" in body["metadata"]:
        return PodState.TERMINATING
    if _condition(body, "Ready").get("status") == "True":
        return PodState.READY
    if _condition(body, "PodScheduled").get("reason") == "Unschedulable":
        return PodState.UNSCHEDULABLE
    return PodState.FAILING if failure(body) else PodState.STARTING


def failure(body: Body) -> tuple[str, str] | None:
    """Why a container of this pod doesn't start: one word, and the kubelet's message."""
    for status in containers(body):
        if word := failed(status):
            return word, status["state"]["waiting"].get("message", "")
    return None


def failed(status: Body) -> str | None:
    """Why this container doesn't start, in one word."""
    waiting = status.get("state", {}).get("waiting", {})
    return None if _PASSING in waiting.get("message", "") else _FAILURES.get(waiting.get("reason"))


def crash_loop(body: Body, now: float) -> tuple[str, str] | None:
    """As `failure`, but also between two crashes, so that what is said of it doesn't come and go; `now` in epoch s.

    Of a pod that is being deleted nothing is said: it needs no help.
    """
    if "deletionTimestamp" in body["metadata"]:
        return None
    for status in containers(body):
        state, times = status.get("state", {}), status.get("restartCount", 0)
        running = state.get("running")
        young = running and now - epoch(running["startedAt"]) < _CONVALESCENCE and times > 1
        ended = status.get("lastState", {}).get("terminated") if young else times and state.get("terminated")
        done = not running and status in body["status"].get("initContainerStatuses", [])
        if ended and (ended.get("exitCode") or (not done and _ended_soon(ended))):
            which = "" if status["name"] == HANDLER else f"container {status['name']} "
            message = f"{which}ended {times} times, last with exit code {ended['exitCode']}"
            return "CrashLoop", f"{message} ({ended.get('reason', 'Error')}): see its log"
    return failure(body)


def _ended_soon(terminated: Body) -> bool:
    """The kubelet holds back what ends well, too, where it runs for moments."""
    started, finished = terminated.get("startedAt"), terminated.get("finishedAt")
    return bool(started and finished and epoch(finished) - epoch(started) < _CONVALESCENCE)


def unready(body: Body, now: float, patience: float) -> tuple[str, str] | None:
    """What a pod that has a node, and has been unready for longer than `patience` seconds, waits for: one word, and a
    sentence; `now` in epoch s.

    Of one that fails there is more to say: see `crash_loop`.
    """
    if state(body) is not PodState.STARTING:
        return None
    since = unready_since(body)
    if now - (epoch(body["metadata"]["creationTimestamp"]) if since is None else since) <= patience:
        return None
    for status in containers(body):
        waiting = status.get("state", {}).get("waiting", {}).get("reason")
        if status.get("ready") or waiting == "PodInitializing":
            continue  # that one waits for another
        if waiting:
            what = f"container {status['name']} isn't there yet ({waiting}): `kubectl describe pod` says what for"
            return "NotReady", what
        if _is_step(body, status):
            return "NotReady", f"init container {status['name']} has not ended"
        if status.get("started"):
            return READINESS, f"container {status['name']} runs, and its readiness probe fails"
        return "NotReady", f"container {status['name']} runs, and has not passed its startup probe"
    return "NotReady", _condition(body, "Ready").get("message") or "its node doesn't say that it is ready"


def unready_since(body: Body) -> float | None:
    """Since when the cluster says that the pod isn't ready, epoch s; None: it doesn't."""
    ready = _condition(body, "Ready")
    return epoch(ready["lastTransitionTime"]) if ready.get("status") == "False" else None


def _is_step(body: Body, status: Body) -> bool:
    """Whether the container is to end before the next one begins."""
    steps = body.get("spec", {}).get("initContainers", [])
    return any(each["name"] == status["name"] and each.get("restartPolicy") != "Always" for each in steps)


def unschedulable(body: Body) -> str | None:
    """The scheduler's own words, if it found no node."""
    condition = _condition(body, "PodScheduled")
    return condition.get("message") if condition.get("reason") == "Unschedulable" else None


def view(
    body: Body,
    pending: int | None,
    clock_offset: float,
    marked_since: float | None = None,
    *,
    cordoned: bool = False,
) -> Pod:
    """One pod; `clock_offset` is what to add to an epoch time to get the observation's clock.

    `marked_since`, on that clock: since when our watch shows its mark.
    """
    ready = _condition(body, "Ready")
    return Pod(
        name=body["metadata"]["name"],
        state=state(body),
        created=epoch(body["metadata"]["creationTimestamp"]) + clock_offset,
        ready_at=epoch(ready["lastTransitionTime"]) + clock_offset if ready.get("status") == "True" else None,
        pending=pending,
        marked=is_marked(body),
        marked_since=marked_since,
        cordoned=cordoned,
        restarted=any(status.get("restartCount") for status in containers(body)),
    )


def containers(body: Body) -> list[Body]:
    """Statuses of all containers; with protocol http the handler is among the init containers."""
    status = body.get("status", {})
    return [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]


def _condition(body: Body, name: str) -> dict[str, Any]:
    conditions = body.get("status", {}).get("conditions", [])
    return next((condition for condition in conditions if condition["type"] == name), {})

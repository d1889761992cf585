"""Worker pods as the scaling law sees them. Pure."""

from __future__ import annotations

from typing import Any

from streamqueue.api.template import DELETION_COST
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

# A kubelet that answers has removed a pod by then.
_LOST_AFTER = 60.0  # seconds after its grace


def is_over(body: Body) -> bool:
    """Evicted or finished: the ReplicaSet doesn't count it any more."""
    return body.get("status", {}).get("phase") in ("Failed", "Succeeded")


def is_cut_off(body: Body) -> bool:
    """Unready by the word of the node controller, which hears nothing of the node: the kubelet, which knows that its
    containers are ready, would give a reason.
    """
    ready = condition(body, "Ready")
    unready = ready.get("status") == "False" and not ready.get("reason")
    return unready and condition(body, "ContainersReady").get("status") == "True"


def is_lost(body: Body, now: float) -> bool:
    """Told to go by a node that doesn't answer, or there long after its grace. `now` in epoch s."""
    deleted = body["metadata"].get("deletionTimestamp")  # holds the grace
    return deleted is not None and (is_cut_off(body) or now - epoch(deleted) > _LOST_AFTER)


def disrupted_at(body: Body) -> float | None:
    """When the cluster began to end the pod (a drain, a preemption, a node in trouble), epoch s. None: it didn't."""
    found = condition(body, _DISRUPTED)
    return epoch(found["lastTransitionTime"]) if found.get("status") == "True" else None


def remains(body: Body) -> Body:
    """Of a pod that is gone, what tells how it ended."""
    kept = ("uid", "name", "namespace", "deletionTimestamp")
    ended = body.get("status", {}).get("containerStatuses", [])
    statuses = [{"name": each["name"], "state": each.get("state", {})} for each in ended]
    conditions = [found] if (found := condition(body, _DISRUPTED)) else []
    return {
        "metadata": {name: body["metadata"][name] for name in kept if name in body["metadata"]},
        "status": {"containerStatuses": statuses, "conditions": conditions},
    }


def is_marked(body: Body) -> bool:
    return body["metadata"].get("annotations", {}).get(DELETION_COST) == VICTIM_COST  # type: ignore[no-any-return]


def state(body: Body) -> PodState:
    if "deletionTimestamp" in body["metadata"]:
        return PodState.TERMINATING
    if condition(body, "Ready").get("status") == "True":
        return PodState.READY
    if condition(body, "PodScheduled").get("reason") == "Unschedulable":
        return PodState.UNSCHEDULABLE
    return PodState.FAILING if any(map(failed, containers(body))) else PodState.STARTING


def failed(status: Body) -> str | None:
    """Why this container doesn't start, in one word."""
    waiting = status.get("state", {}).get("waiting", {})
    return None if _PASSING in waiting.get("message", "") else _FAILURES.get(waiting.get("reason"))


def unready_since(body: Body) -> float | None:
    """Since when the cluster says that the pod isn't ready, epoch s; None: it doesn't."""
    ready = condition(body, "Ready")
    return epoch(ready["lastTransitionTime"]) if ready.get("status") == "False" else None


def unschedulable(body: Body) -> str | None:
    """The scheduler's own words, if it found no node."""
    found = condition(body, "PodScheduled")
    return found.get("message") if found.get("reason") == "Unschedulable" else None


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
    ready = condition(body, "Ready")
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


def condition(body: Body, name: str) -> dict[str, Any]:
    """The condition of that name; empty where the cluster has not set it."""
    conditions = body.get("status", {}).get("conditions", [])
    return next((each for each in conditions if each["type"] == name), {})

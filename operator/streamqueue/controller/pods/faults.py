"""What keeps a worker pod from working, in words for its owner. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from streamqueue.api.timestamps import epoch
from streamqueue.controller.kinds import Body
from streamqueue.controller.pods.states import condition, containers, failed, is_cut_off, state, unready_since
from streamqueue.scaling.model import PodState

# Unready by a probe of the user's own: its worker may well work.
READINESS = "ReadinessProbe"

# A container that came back from a crash this recently may be in a loop yet.
_CONVALESCENCE = 60.0  # seconds


@dataclass(frozen=True, slots=True)
class Fault:
    """One word, a sentence, and the container that it is about; empty where it is about the whole pod."""

    word: str
    sentence: str
    container: str = ""


def fault(body: Body, now: float, patience: float) -> Fault | None:
    """Why a pod doesn't work, as `failing` says it, or, where that has nothing to say, `unready`."""
    return failing(body, now) or unready(body, now, patience)


def failing(body: Body, now: float) -> Fault | None:
    """Of a container that doesn't start, or crashes again and again; `now` in epoch s.

    The same is said before, between and after two crashes. Of a pod that is being deleted nothing is said: it needs
    no help.
    """
    if "deletionTimestamp" in body["metadata"]:
        return None
    for status in containers(body):
        if ended := _crash(body, status, now):
            times, code, reason = status["restartCount"], ended.get("exitCode"), ended.get("reason", "Error")
            what = f"container {status['name']} crashes again and again"
            return Fault("CrashLoop", f"{what}: {times} restart(s), last exit code {code} ({reason})", status["name"])
    for status in containers(body):
        if word := failed(status):
            message = status["state"]["waiting"].get("message") or "the kubelet gives no reason"
            return Fault(word, message, status["name"])
    return None


def _crash(body: Body, status: Body, now: float) -> Body | None:
    """How the container ended, if it is in a loop of crashes."""
    state, last = status.get("state", {}), status.get("lastState", {}).get("terminated")
    if failed(status) == "CrashLoop":
        return last or None
    running, times = state.get("running"), status.get("restartCount", 0)
    young = running and now - epoch(running["startedAt"]) < _CONVALESCENCE and times > 1
    ended = last if young else times and state.get("terminated")
    done = not running and status in body["status"].get("initContainerStatuses", [])
    return ended if ended and (ended.get("exitCode") or (not done and _ended_soon(ended))) else None


def _ended_soon(terminated: Body) -> bool:
    """The kubelet holds back what ends well, too, where it runs for moments."""
    started, finished = terminated.get("startedAt"), terminated.get("finishedAt")
    return bool(started and finished and epoch(finished) - epoch(started) < _CONVALESCENCE)


def unready(body: Body, now: float, patience: float) -> Fault | None:
    """What a pod that has a node, and has been unready for longer than `patience` seconds, waits for; `now` in
    epoch s.
    """
    if state(body) is not PodState.STARTING:
        return None
    since = unready_since(body)
    if now - (epoch(body["metadata"]["creationTimestamp"]) if since is None else since) <= patience:
        return None
    if is_cut_off(body):
        return Fault("NotReady", "its node doesn't answer")
    for status in containers(body):
        waiting, name = status.get("state", {}).get("waiting", {}).get("reason"), status["name"]
        if status.get("ready"):
            continue
        if waiting:
            what = f"container {name} isn't there yet ({waiting}): `kubectl describe pod` says what for"
            return Fault("NotReady", what, name)
        if _is_step(body, status):
            return Fault("NotReady", f"init container {name} has not ended", name)
        if status.get("started"):
            return Fault(READINESS, f"container {name} runs, and its readiness probe fails", name)
        return Fault("NotReady", f"container {name} runs, and has not passed its startup probe", name)
    return Fault("NotReady", condition(body, "Ready").get("message") or "its node doesn't say that it is ready")


def _is_step(body: Body, status: Body) -> bool:
    """Whether the container is to end before the next one begins."""
    steps = body.get("spec", {}).get("initContainers", [])
    return any(each["name"] == status["name"] and each.get("restartPolicy") != "Always" for each in steps)

"""Says what happened: status, and an event for each transition. Counters at most every 15 s, what matters at once."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from streamqueue.api import conditions as conditions_api
from streamqueue.api.conditions import Condition
from streamqueue.api.timestamps import rfc3339
from streamqueue.controller.cluster.events import Recorder
from streamqueue.controller.cluster.kube import Kube, KubeError
from streamqueue.controller.cluster.store import Holdings, version_of
from streamqueue.controller.kinds import DEPLOYMENTS, STREAM_QUEUES, Body
from streamqueue.controller.observe import live_replicas
from streamqueue.controller.status.assess import Facts, conditions
from streamqueue.manifests.labels import Owner, selector

# 1,000 busy queues must not mean 1,000 writes a second, echoed back into our own watch.
COUNTER_INTERVAL = 15.0  # seconds


@dataclass(slots=True)
class Reported:
    """What was last written of one queue, and when; the queue's version by then, and a hash of all that it showed."""

    status: dict[str, Any] = field(default_factory=dict)
    at: float = 0.0
    version: int = 0
    whole: int = 0

    def is_overwritten(self, queue: Body) -> bool:
        """Whether the queue shows another status since: a late write of ours or of the last leader's, or somebody's."""
        version = version_of(queue)
        if not self.status or version <= self.version:
            return False
        if _hash(queue.get("status")) != self.whole:
            return True
        self.version = version
        return False


def status(held: Holdings, facts: Facts, previous: Mapping[str, Any], now: float) -> dict[str, Any]:
    """The status to show; what isn't known isn't in it. Pure; `now` in epoch seconds."""
    generation = facts.generation or held.body["metadata"]["generation"]
    deployment = held.owned.get(DEPLOYMENTS, {}).get("status", {})
    ready, desired = deployment.get("readyReplicas", 0), live_replicas(held)
    before = previous.get("conditions", [])
    said = [*conditions(facts), *_still_said(facts, before)]
    shown: dict[str, Any] = {
        "observedGeneration": generation,
        "replicas": deployment.get("replicas", 0),
        "readyReplicas": ready,
        "desiredReplicas": desired,
        "replicasSummary": f"{ready}/{desired}",
        "selector": selector(owner_of(held.body)),
        "conditions": conditions_api.merge(before, said, rfc3339(now), generation),
    }
    if facts.decision and not facts.unwritten:
        shown |= {"reason": str(facts.decision.reason), "message": facts.decision.sentence}
    elif trouble := facts.unwritten or facts.rejected or facts.conflict or facts.redis or facts.stream:
        shown |= {"reason": trouble.reason, "message": trouble.message}
    if facts.snapshot:
        snapshot = facts.snapshot
        shown |= {"lag": snapshot.undelivered, "lagKnown": snapshot.lag_known, "pending": snapshot.pending}
        shown["retrying"] = snapshot.retrying
        if snapshot.dead_letters is not None:
            shown["deadLetters"] = snapshot.dead_letters
        if snapshot.oldest_waiting_age is not None:
            shown["oldestWaitingTime"] = rfc3339(now - snapshot.oldest_waiting_age)
    return shown


def _still_said(facts: Facts, before: Sequence[Mapping[str, Any]]) -> Iterator[Condition]:
    """Whether a server may lose work is asked beside the rounds: an operator that is new, or was not answered, takes
    back no warning.
    """
    for each in before if facts.snapshot and facts.durability is None else ():
        if each["type"] == "RedisMayLoseWork":
            yield Condition(each["type"], True, each["reason"], each["message"])


def owner_of(queue: Body) -> Owner:
    metadata = queue["metadata"]
    return Owner(metadata["name"], metadata["namespace"], metadata["uid"], metadata["generation"])


def matters(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Whether people wait for this change: replicas, reasons, conditions, zero or not zero."""
    return _essence(before) != _essence(after)


def _essence(shown: Mapping[str, Any]) -> tuple[Any, ...]:
    plain = ("observedGeneration", "replicas", "readyReplicas", "desiredReplicas", "reason", "lagKnown", "deadLetters")
    said = [(each["type"], each["status"], each["reason"]) for each in shown.get("conditions", [])]
    empty = [shown[name] > 0 if name in shown else None for name in ("lag", "pending")]
    return (*(shown.get(name) for name in plain), said, empty)


def news(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """An event for each transition between two statuses: its kind, reason and message. Pure."""
    known = before.get("conditions", [])
    for change in conditions_api.transitions(known, after["conditions"]):
        good = conditions_api.is_well(change)
        if change["status"] == "Unknown" or (good and not known):
            continue  # a new queue that works is no news
        yield "Normal" if good else "Warning", change["reason"], f"{change['type']}: {change['message']}"


async def report(kube: Kube, recorder: Recorder, held: Holdings, facts: Facts, reported: Reported) -> None:
    """Write the status where it is due, and an event for each transition."""
    previous = reported.status or held.body.get("status", {})
    shown = status(held, facts, previous, time.time())
    urgent = matters(previous, shown)
    is_news = shown != previous or reported.is_overwritten(held.body)
    if not urgent and (not is_news or time.monotonic() - reported.at < COUNTER_INTERVAL):
        return
    metadata = held.body["metadata"]
    body = {
        "apiVersion": STREAM_QUEUES.api_version,
        "kind": STREAM_QUEUES.kind,
        "metadata": {key: metadata[key] for key in ("name", "namespace", "uid")},
        "status": shown,
    }
    try:
        written = await kube.apply_status(STREAM_QUEUES, body)
    except KubeError as error:
        if error.status not in (404, 409):  # deleted meanwhile
            raise
        return
    reported.status, reported.at = shown, time.monotonic()
    reported.version, reported.whole = version_of(written), _hash(written.get("status"))
    for event in news(previous, shown):
        recorder.say(held.body, *event)


def _hash(shown: Any) -> int:
    return hash(json.dumps(shown, sort_keys=True))

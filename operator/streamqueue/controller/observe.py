"""Puts what Redis and the cluster say into one Observation. Pure."""

from __future__ import annotations

from collections.abc import Container

from streamqueue.api.spec import QueueSpec
from streamqueue.controller.cluster.store import Holdings, controller_of
from streamqueue.controller.kinds import DEPLOYMENTS, Body
from streamqueue.controller.pods import states as workers
from streamqueue.controller.pods.consumers import Attribution
from streamqueue.controller.pods.crash import reader
from streamqueue.loop.observe import count_cap, observation
from streamqueue.scaling.model import Observation, Pod, PodState
from streamqueue.streams.snapshot import Snapshot, SnapshotRequest


def request(held: Holdings, spec: QueueSpec) -> SnapshotRequest:
    """What to ask of Redis. When each consumer was last heard of matters only for pods that were told to go."""
    leaving = any("deletionTimestamp" in pod["metadata"] for pod in held.pods.values())
    return SnapshotRequest(spec.stream, spec.group, count_cap(spec), everyone=leaving)


def present(held: Holdings) -> list[Body]:
    """The pods that the ReplicaSet counts.

    One that was evicted stays listed for days, and tells nothing; one that somebody took from the ReplicaSet by its
    labels, to look into it, works on, and another came in its place.
    """
    return [body for body in held.pods.values() if controller_of(body) and not workers.is_over(body)]


def _view(body: Body, held: Holdings, attribution: Attribution, clock_offset: float, cordoned: Container[str]) -> Pod:
    name = body["metadata"]["name"]
    entries = _in_hand(body, attribution.pending.get(name))
    return workers.view(body, entries, clock_offset, held.marked_since.get(name), cordoned=name in cordoned)


def _in_hand(body: Body, entries: int | None) -> int | None:
    """What a worker left that doesn't run is in nobody's hands: the pod may go."""
    if workers.state(body) in (PodState.READY, PodState.TERMINATING):
        return entries
    runs = any(status.get("state", {}).get("running") is not None for status in reader(body))
    return entries if runs else 0


def live_replicas(held: Holdings) -> int:
    """`spec.replicas` of the live Deployment; where there is none, the pods that it left, which the next one takes over
    (`kubectl delete deployment --cascade=orphan`).
    """
    if deployment := held.owned.get(DEPLOYMENTS):
        return int(deployment["spec"].get("replicas", 1))
    since = held.body["metadata"]["creationTimestamp"]  # older ones are an earlier queue's of this name
    left = [body["metadata"] for body in present(held)]
    return sum("deletionTimestamp" not in each and each["creationTimestamp"] >= since for each in left)


def is_rolling_out(deployment: Body | None) -> bool:
    """Pods of an older template remain."""
    if deployment is None:
        return False
    status = deployment.get("status", {})
    return bool(status.get("updatedReplicas", 0) < status.get("replicas", 0))


def observe(
    held: Holdings,
    snapshot: Snapshot | None,
    attribution: Attribution,
    *,
    now: float,
    clock_offset: float,
    cordoned: Container[str] = (),
    ended: Container[str] = (),
) -> Observation:
    """`now` is the loop's clock; `clock_offset` turns epoch seconds into it; `ended`: names of pods whose worker is no
    more. Without a snapshot: unknown.
    """
    # Pods on a node that is gone may be terminating for ever: they'd leave no room for others below maxReplicas.
    views = tuple(
        _view(body, held, attribution, clock_offset, cordoned)
        for body in present(held)
        if body["metadata"]["name"] not in ended and not workers.is_lost(body, now - clock_offset)
    )
    deployment = held.owned.get(DEPLOYMENTS)
    # Its own watch tells of it: where the one of pods is silent, pods that work must not pass for missing.
    created = int((deployment or {}).get("status", {}).get("replicas", 0))
    replicas, rollout = live_replicas(held), is_rolling_out(deployment)
    return observation(snapshot, views, now=now, replicas=replicas, rollout=rollout, created=created)

"""Is the right stream read, by the right group, under names that tell pods apart?"""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from shlex import quote

from streamqueue.api.timestamps import epoch
from streamqueue.cli.doctor.facts import Facts
from streamqueue.cli.doctor.finding import Finding
from streamqueue.controller.kinds import Body
from streamqueue.controller.pods import states as workers
from streamqueue.controller.pods.consumers import pod_of, pods_of
from streamqueue.scaling.model import PodState
from streamqueue.streams.snapshot import LagRule
from streamqueue.streams.tasks import PARKED

SETTLED = 15.0  # seconds after which a ready pod must have begun to read
ACTIVE = 60.0  # seconds since its last command within which a consumer counts as alive

_OWN_NAME = "name the consumer $STREAMQUEUE_CONSUMER in the handler"


def no_stream(facts: Facts) -> Iterator[Finding]:
    if facts.stream is None or facts.spec is None or facts.stream.snapshot.stream_exists:
        return
    nearby = facts.stream.streams_nearby
    hint = f"; there is {', '.join(nearby)}" if nearby else ""
    create = "--create " if facts.cluster is None else ""
    cause = f"stream {facts.spec.stream} does not exist: nothing was ever added{hint}"
    send = f"streamqueue send {create}{facts.again} FIELD=VALUE"
    yield Finding("no-stream", cause, f"check the producer's stream name, or: {send}")


def no_group(facts: Facts) -> Iterator[Finding]:
    found = facts.stream.snapshot if facts.stream else None
    if found is None or facts.spec is None or not found.stream_exists or found.group_exists:
        return
    assert facts.stream
    names = [group.name for group in facts.stream.groups]
    near = get_close_matches(facts.spec.group, names, 3, 0.6)
    others = f"; its groups are {', '.join(near or names[:5])}" if names else "; it has no group at all"
    which = f"{quote(facts.spec.stream)} {quote(facts.spec.group)} {quote(facts.spec.start_from)}"
    command = f"{facts.redis_cli} XGROUP CREATE {which}"
    cause = f"stream {facts.spec.stream} has no group {facts.spec.group}{others}"
    yield Finding("no-group", cause, f"the operator creates it when it runs; by hand: {command}")


def lag_unknown(facts: Facts) -> Iterator[Finding]:
    found = facts.snapshot
    if found and found.lag_rule is LagRule.SATURATED:
        cause = (
            f"how many tasks wait is known as 'at least {found.undelivered}' only: this server's own count can't be "
            "trusted after a trim or a deletion (Redis before 8.0, Valkey), and counting stops at a bound"
        )
        yield Finding("lag-unknown", cause, "nothing to mend: scaling treats it as a lower bound", warning=True)


def other_stream(facts: Facts) -> Iterator[Finding]:
    """Pods are ready, tasks wait, and no consumer of the group has asked for any."""
    found, spec = facts.snapshot, facts.configured
    if not (found and spec and facts.stream and found.undelivered) or found.pending:
        return
    ready = [since for pod in facts.pods if (since := _ready_for(pod, facts.now)) is not None]
    settled = max(ready, default=0.0)
    if settled < SETTLED or any(view.seen_within(settled) for view in found.consumers):
        return
    busier = [group.name for group in facts.stream.groups if group.name != spec.group and _alive(group.active)]
    groups = f"; group {busier[0]} of the same stream is being read" if busier else ""
    cause = (
        f"{len(ready)} pod(s) run, {found.undelivered} task(s) wait, and nobody reads stream {spec.stream} as group "
        f"{spec.group}: the handler reads another stream or group{groups}"
    )
    name = facts.pods[0]["metadata"]["name"]
    mend = "let it take STREAMQUEUE_STREAM and STREAMQUEUE_GROUP"
    yield Finding("other-stream", cause, f"{mend}; kubectl logs{facts.namespace} {name}")


def shared_consumer(facts: Facts) -> Iterator[Finding]:
    known = facts.condition("ConsumersShared")
    if known.get("status") == "True":
        yield Finding("shared-consumer", known["message"], _OWN_NAME, warning=True)
        return
    found = facts.snapshot
    names = {pod["metadata"]["name"] for pod in facts.pods if workers.state(pod) is PodState.READY}
    if found is None or len(names) < 2:
        return
    readers = [view for view in found.consumers if view.name != PARKED]
    live = [view for view in readers if view.seen_within(ACTIVE) or view.pending]
    strangers = [view.name for view in live if not _is_of_a_pod(view.name, facts)]
    if not strangers or any(pod_of(view.name) in names for view in live):
        return
    cause = (
        f"{len(names)} pods read as consumer {', '.join(strangers[:3])}: busy pods can't be told from idle ones, and a "
        "dead pod's tasks come back after the visibility timeout only"
    )
    yield Finding("shared-consumer", cause, _OWN_NAME, warning=True)


def _is_of_a_pod(consumer: str, facts: Facts) -> bool:
    """Whether it is named after a pod of the Deployment, live or past."""
    assert facts.cluster
    return bool(pods_of(facts.cluster.queue["metadata"]["name"]).fullmatch(pod_of(consumer)))


def _ready_for(pod: Body, now: float) -> float | None:
    """Seconds; None where it isn't ready."""
    if workers.state(pod) is not PodState.READY:
        return None
    ready = next(each for each in pod["status"]["conditions"] if each["type"] == "Ready")
    return now - epoch(ready["lastTransitionTime"])


def _alive(active: float | None) -> bool:
    return active is not None and active < ACTIVE

"""Does the number of workers follow the work?"""

from __future__ import annotations

from collections.abc import Iterator

from streamqueue.api.durations import format_duration
from streamqueue.api.spec import TargetWait
from streamqueue.cli.doctor.facts import Facts
from streamqueue.cli.doctor.finding import Finding
from streamqueue.cli.output import age
from streamqueue.controller.pods import draining
from streamqueue.controller.pods import states as workers

PATIENCE = 60.0  # seconds of waiting that are too long where no targetWait says so


def behind_at_max(facts: Facts) -> Iterator[Finding]:
    found, spec = facts.snapshot, facts.configured
    if not (found and spec and facts.cluster) or found.oldest_waiting_age is None:
        return
    desired = facts.cluster.queue.get("status", {}).get("desiredReplicas", 0)
    target = spec.scaling.target.seconds if isinstance(spec.scaling.target, TargetWait) else PATIENCE
    later = facts.stream.later if facts.stream else None
    draining = later is not None and later.undelivered < found.undelivered
    if desired < spec.scaling.max_replicas or found.oldest_waiting_age <= target or draining:
        return
    cause = (
        f"maxReplicas ({spec.scaling.max_replicas}) is reached, and the oldest of {found.undelivered} waiting tasks "
        f"waits for {age(found.oldest_waiting_age)}, longer than {format_duration(target)}"
    )
    command = f"kubectl patch sq{facts.namespace} {facts.cluster.queue['metadata']['name']} --type merge -p "
    patch = f'{{"spec":{{"scaling":{{"maxReplicas":{desired * 2}}}}}}}'
    yield Finding("at-max", cause, f"raise maxReplicas: {command}'{patch}'")


def no_room(facts: Facts) -> Iterator[Finding]:
    """Pods on their way out count against maxReplicas, for as long as what they run takes to end."""
    found, spec = facts.snapshot, facts.configured
    if not (found and spec and facts.cluster and found.undelivered):
        return
    desired = facts.cluster.queue.get("status", {}).get("desiredReplicas", 0)
    ended = draining.ended(facts.pods, spec.handler, found)
    leaving = (pod["metadata"] for pod in facts.pods if not workers.is_lost(pod, facts.now))
    leaving = (each for each in leaving if "deletionTimestamp" in each and each["name"] not in ended)
    going = {each["name"]: each["deletionTimestamp"] for each in leaving}
    if not desired < spec.scaling.max_replicas <= desired + len(going):
        return
    last = max(going, key=lambda name: going[name])
    cause = (
        f"{len(going)} pod(s) that are still terminating leave no room below maxReplicas "
        f"({spec.scaling.max_replicas}) for {found.undelivered} waiting task(s), until {going[last]} at the latest"
    )
    look = f"kubectl describe pod{facts.namespace} {last}"
    yield Finding("no-room", cause, f"see which container goes on: {look}; or raise scaling.maxReplicas", warning=True)


def held(facts: Facts) -> Iterator[Finding]:
    """Somebody pinned or paused the count while tasks wait."""
    found, spec = facts.snapshot, facts.configured
    if not (found and spec) or not found.undelivered:
        return
    if spec.scaling.paused:
        cause = f"scaling is paused (spec.scaling.paused) while {found.undelivered} task(s) wait"
        yield Finding("paused", cause, f"streamqueue resume {facts.again}", warning=True)
    if spec.scaling.replicas is not None:
        cause = f"the count is pinned at {spec.scaling.replicas} while {found.undelivered} task(s) wait"
        yield Finding("pinned", cause, f"streamqueue scale {facts.again} auto", warning=True)


def slow_start(facts: Facts) -> Iterator[Finding]:
    """No pod that is started for a task can meet such a target."""
    spec, took = facts.configured, facts.cluster.cold_start if facts.cluster else None
    target = spec.scaling.target if spec else None
    if not (spec and isinstance(target, TargetWait)) or took is None or took <= target.seconds:
        return
    wait = format_duration(target.seconds)
    cause = (
        f"pods take {age(took)} to become ready, and targetWait is {wait}: a task waits longer wherever no pod was "
        "kept for it, and keeping pods costs idle time"
    )
    advice = (
        f"raise scaling.targetWait above {age(took + spec.scaling.polling_interval + 1)}, or keep scaling.minReplicas"
    )
    yield Finding(
        "slow-start", cause, f"{advice}; or let pods start sooner (a smaller image, on the nodes already)", True
    )

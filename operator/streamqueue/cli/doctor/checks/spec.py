"""Can the queue's object be used?"""

from __future__ import annotations

from collections.abc import Iterator

from streamqueue.cli.doctor.facts import Facts
from streamqueue.cli.doctor.finding import Finding

# What other checks look into, with more to go by.
_COVERED = frozenset(
    {
        *("Accepted", "RedisReachable", "Ready", "ScalingActive", "Pinned", "PodsFailing", "PodsUnschedulable"),
        *("ConsumersShared", "DeadLetters", "RedisMayLoseWork", "RequeueNeedsWorker", "TrimBlocked"),
    }
)
# But for these reasons of theirs.
_UNCOVERED = frozenset({"NotWritten", "FailedCreate", "MemoryNearlyFull"})
# Reasons of Ready=False that the checks of pods look into.
_OF_PODS = frozenset({"ImagePull", "CrashLoop", "ContainerConfig", "NotReady"})


def not_accepted(facts: Facts) -> Iterator[Finding]:
    accepted, ready = facts.condition("Accepted"), facts.condition("Ready")
    if accepted.get("status") == "False":
        yield _finding("not-accepted", facts, accepted["reason"], accepted["message"])
    elif ready.get("status") == "False" and facts.condition("RedisReachable").get("status") != "False":
        if ready["reason"] not in _OF_PODS:
            yield _finding("not-ready", facts, ready["reason"], ready["message"])
    elif facts.condition("RedisReachable").get("reason", "").startswith("Secret"):
        reachable = facts.condition("RedisReachable")
        yield _finding("secret", facts, reachable["reason"], reachable["message"])


def other_warnings(facts: Facts) -> Iterator[Finding]:
    """Conditions of the operator's that are there only while something is wrong."""
    conditions = facts.cluster.queue.get("status", {}).get("conditions", []) if facts.cluster else []
    said = facts.condition("Ready").get("reason")  # by the check before
    for each in conditions:
        covered = each["type"] in _COVERED and (each["reason"] not in _UNCOVERED or each["reason"] == said)
        if not covered and each["status"] != "Unknown":
            cause = f"the operator says {each['type']}={each['status']}: {each['message']}"
            yield Finding("condition", cause, f"streamqueue status {facts.again}", warning=True)


def _finding(check: str, facts: Facts, reason: str, message: str) -> Finding:
    assert facts.cluster
    name = facts.cluster.queue["metadata"]["name"]
    return Finding(check, f"the operator says {reason}: {message}", f"kubectl edit sq{facts.namespace} {name}")

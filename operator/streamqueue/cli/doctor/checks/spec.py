"""Can the queue's object be used?"""

from __future__ import annotations

from collections.abc import Iterator

from streamqueue.cli.doctor.facts import Facts
from streamqueue.cli.doctor.finding import Finding

# Reasons of Ready=False that no other check looks into.
_ELSEWHERE = frozenset({"ImagePull", "CrashLoop", "ContainerConfig", "Working"})


def not_accepted(facts: Facts) -> Iterator[Finding]:
    accepted, ready = facts.condition("Accepted"), facts.condition("Ready")
    if accepted.get("status") == "False":
        yield _finding("not-accepted", facts, accepted["reason"], accepted["message"])
    elif ready.get("status") == "False" and facts.condition("RedisReachable").get("status") != "False":
        if ready["reason"] not in _ELSEWHERE:
            yield _finding("not-ready", facts, ready["reason"], ready["message"])
    elif facts.condition("RedisReachable").get("reason", "").startswith("Secret"):
        reachable = facts.condition("RedisReachable")
        yield _finding("secret", facts, reachable["reason"], reachable["message"])


def _finding(check: str, facts: Facts, reason: str, message: str) -> Finding:
    assert facts.cluster
    name = facts.cluster.queue["metadata"]["name"]
    return Finding(check, f"the operator says {reason}: {message}", f"kubectl edit sq{facts.namespace} {name}")

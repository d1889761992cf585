"""What the operator asked of the API server, from the audit log of the test cluster."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tests.cluster.config import AUDIT_LOG
from tests.cluster.settings import NODE_CONTAINER

Right = tuple[str, str, str]  # API group, resource, verb

_POD = "authentication.kubernetes.io/pod-name"
_DECISION = "authorization.k8s.io/decision"


@dataclass(frozen=True)
class Call:
    """One request of an operator pod."""

    right: Right
    allowed: bool
    text: str


def calls(since: datetime, pods: str, strangers: Collection[str]) -> list[Call]:
    """Of the pods whose names begin with `pods`, but for `strangers` and those that were there before `since`."""
    events = [(_pod(event), event) for event in _events()]
    older = {pod for pod, event in events if _time(event) < since}
    wanted = [(pod, event) for pod, event in events if pod not in older and pod not in strangers]
    return [_call(event) for pod, event in wanted if pod.startswith(pods)]


def _events() -> Iterator[dict[str, Any]]:
    text = subprocess.run(
        ["docker", "exec", NODE_CONTAINER, "cat", AUDIT_LOG], capture_output=True, text=True, check=True
    ).stdout
    for line in text.splitlines():
        event: dict[str, Any] = json.loads(line)
        if "objectRef" in event:
            yield event


def _pod(event: dict[str, Any]) -> str:
    names = event["user"].get("extra", {}).get(_POD, [""])
    return str(names[0])


def _time(event: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(event["requestReceivedTimestamp"])


def _call(event: dict[str, Any]) -> Call:
    thing = event["objectRef"]
    resource = "/".join(part for part in (thing["resource"], thing.get("subresource")) if part)
    allowed = event.get("annotations", {}).get(_DECISION) == "allow"
    return Call((thing.get("apiGroup", ""), resource, event["verb"]), allowed, f"{event['verb']} {event['requestURI']}")

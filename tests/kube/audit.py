"""What the operator asked of the API server, from the audit log of the test cluster."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Collection
from dataclasses import dataclass, field
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


@dataclass
class AuditLog:
    """Each line is read once: on a cluster that is kept there are many."""

    _seen: list[tuple[datetime, str, Call]] = field(default_factory=list)  # when, by which pod, what
    _read: int = 0  # bytes

    def calls(self, since: datetime, pods: str, strangers: Collection[str]) -> list[Call]:
        """Of the pods whose names begin with `pods`, but for `strangers` and those that were there before `since`."""
        self._read_on()
        others = {pod for when, pod, _ in self._seen if when < since} | set(strangers)
        return [call for _, pod, call in self._seen if pod.startswith(pods) and pod not in others]

    def _read_on(self) -> None:
        command = ["docker", "exec", NODE_CONTAINER, "tail", f"--bytes=+{self._read + 1}", AUDIT_LOG]
        written = subprocess.run(command, capture_output=True, check=True).stdout
        whole, newline, _ = written.rpartition(b"\n")
        self._read += len(whole) + len(newline)
        for line in whole.splitlines():
            event: dict[str, Any] = json.loads(line)
            if "objectRef" in event:
                self._seen.append((_time(event), _pod(event), _call(event)))


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

"""Settings of one operator process, from its environment."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from streamqueue.manifests import ReclaimPods

_RECLAIM = {"nodeSelector": dict, "tolerations": list, "resources": dict}


class SettingsError(Exception):
    """An environment variable that the operator can't run with; the message names it."""


@dataclass(frozen=True, slots=True)
class Settings:
    image: str  # of the reclaim CronJobs: the operator's own
    image_pull_policy: str
    reclaim: ReclaimPods
    namespaces: tuple[str, ...]  # empty: all
    namespace: str  # the operator's own, home of its Lease
    pod_name: str  # its identity in the Lease
    leader_election: bool
    lease: str  # the Lease's name, one for each release
    log_level: str
    port: int  # /healthz, /readyz, /metrics

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Settings:
        """Read `STREAMQUEUE_*`; raises `SettingsError` for what is missing or malformed."""
        try:
            image = env["STREAMQUEUE_IMAGE"]
        except KeyError:
            raise SettingsError("STREAMQUEUE_IMAGE is not set: give the image that reclaim CronJobs run") from None
        port = env.get("STREAMQUEUE_PORT", "8080")
        if not port.isdecimal() or not 0 < int(port) < 65536:
            raise SettingsError(f"STREAMQUEUE_PORT is {port!r}: give a port number, e.g. 8080")
        election = env.get("STREAMQUEUE_LEADER_ELECTION", "true")
        if election not in ("true", "false"):
            raise SettingsError(f"STREAMQUEUE_LEADER_ELECTION is {election!r}: give true or false")
        level = env.get("STREAMQUEUE_LOG_LEVEL", "info").upper()
        if level not in ("DEBUG", "INFO", "WARNING", "ERROR"):
            raise SettingsError(f"STREAMQUEUE_LOG_LEVEL is {level.lower()!r}: give debug, info, warning or error")
        return cls(
            image=image,
            image_pull_policy=env.get("STREAMQUEUE_IMAGE_PULL_POLICY", "IfNotPresent"),
            reclaim=_reclaim(env.get("STREAMQUEUE_RECLAIM", "{}")),
            namespaces=tuple(filter(None, (name.strip() for name in env.get("STREAMQUEUE_NAMESPACES", "").split(",")))),
            namespace=env.get("STREAMQUEUE_NAMESPACE", "default"),
            pod_name=env.get("STREAMQUEUE_POD_NAME", "streamqueue"),
            leader_election=election == "true",
            lease=env.get("STREAMQUEUE_LEASE") or "streamqueue-operator",
            log_level=level,
            port=int(port),
        )


def _reclaim(text: str) -> ReclaimPods:
    try:
        given = json.loads(text)
    except ValueError:
        given = None
    if not isinstance(given, dict) or not all(isinstance(given[name], _RECLAIM.get(name, ())) for name in given):
        raise SettingsError(
            f"STREAMQUEUE_RECLAIM is {text!r}: give a JSON object with at most a nodeSelector and resources, which are"
            " objects, and tolerations, a list"
        )
    resources: dict[str, Any] = given.pop("resources", {})
    return ReclaimPods({name: value for name, value in given.items() if value}, resources)

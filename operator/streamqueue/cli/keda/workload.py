"""The Deployment that a ScaledObject scales: its image, its environment, and the rest of its pods."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from streamqueue.api.template import (
    DOMAIN,
    ENV_PREFIX,
    HANDLER,
    RESERVED_ANNOTATIONS,
    RESERVED_LABELS,
    RESERVED_POD_FIELDS,
)
from streamqueue.cli.keda.objects import CannotImport, Document, block, items

_DEFAULTS = ("dnsPolicy", "schedulerName")  # kubectl get -o yaml writes them out


class Workload:
    """One Deployment; `container` is the one that reads the stream."""

    def __init__(self, deployment: Document, container: str | None) -> None:
        self._pod = block(deployment, "spec", "template", "spec")
        self._metadata = block(deployment, "spec", "template", "metadata")
        containers = items(self._pod, "containers")
        if not containers:
            raise CannotImport("the Deployment has no containers")
        wanted = [each for each in containers if each.get("name") == container] if container else containers[:1]
        if not wanted:
            raise CannotImport(f"the Deployment has no container {container!r} (envSourceContainerName)")
        self._reader, self._others = wanted[0], [each for each in containers if each is not wanted[0]]
        if any(each.get("name") == HANDLER for each in self._others):
            raise CannotImport(f"the Deployment has a container {HANDLER!r} beside the one that reads: rename it")
        if not isinstance(self._reader.get("image"), str):
            raise CannotImport(f"container {self._reader.get('name')!r} has no image")

    @property
    def image(self) -> str:
        return str(self._reader["image"])

    @property
    def grace(self) -> int | None:
        """Seconds, where the Deployment sets them."""
        found = self._pod.get("terminationGracePeriodSeconds")
        return found if isinstance(found, int) else None

    def variable(self, name: str) -> str | None:
        """The value of an environment variable; None where it isn't there as text."""
        found = next((each for each in items(self._reader, "env") if each.get("name") == name), {})
        return found["value"] if isinstance(found.get("value"), str) else None

    def template(self) -> dict[str, Any]:
        """What of the pod goes into `spec.template`: all but what the operator sets itself."""
        reader: dict[str, Any] = {"name": HANDLER}
        reader |= {name: value for name, value in self._reader.items() if name not in ("name", "image")}
        if env := [each for each in items(reader, "env") if not str(each.get("name")).startswith(ENV_PREFIX)]:
            reader["env"] = env
        else:
            reader.pop("env", None)
        left_out = (*RESERVED_POD_FIELDS, *_DEFAULTS, "containers")
        pod = {name: value for name, value in self._pod.items() if name not in left_out and value != {}}
        containers = ([reader] if len(reader) > 1 else []) + [dict(each) for each in self._others]
        if containers:
            pod["containers"] = containers
        metadata = {
            field: kept
            for field, reserved in (("labels", RESERVED_LABELS), ("annotations", RESERVED_ANNOTATIONS))
            if (kept := _allowed(block(self._metadata, field), reserved))
        }
        return {name: value for name, value in (("metadata", metadata), ("spec", pod)) if value}


def _allowed(given: Mapping[str, Any], reserved: tuple[str, ...]) -> dict[str, Any]:
    return {key: value for key, value in given.items() if key not in reserved and not key.startswith(DOMAIN)}

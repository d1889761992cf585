"""What a pod template overlay may not set: fields that the operator's promises rest on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from streamqueue.api.block import Block
from streamqueue.api.errors import SpecError

HANDLER = "handler"  # the container of the handler's image
RUNNER = "runner"  # with protocol http, the one that reads the stream
DOMAIN = "streamqueue.dev/"
ENV_PREFIX = "STREAMQUEUE_"

MANAGED_BY = "app.kubernetes.io/managed-by"
COMPONENT = "app.kubernetes.io/component"
DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
# What keeps node autoscalers from moving a pod. Pods are born so; the controller takes it off those that are idle.
PROTECTED = {"cluster-autoscaler.kubernetes.io/safe-to-evict": "false", "karpenter.sh/do-not-disrupt": "true"}

RESERVED_LABELS = (MANAGED_BY, COMPONENT)
RESERVED_ANNOTATIONS = (*PROTECTED, DELETION_COST)
RESERVED_POD_FIELDS = {
    "restartPolicy": "workers always restart",
    "terminationGracePeriodSeconds": "it follows from spec.handler.timeout and spec.handler.batch",
}
# Lists of a container, beside env, whose items are merged by their fields.
_MERGED = ("ports", "volumeMounts", "volumeDevices")


def check_template(template: Mapping[str, Any], path: str) -> None:
    """Raises SpecError unless `template` is `{metadata: {labels, annotations}, spec: {...}}` without reserved fields.

    Also refuses what cannot be merged: lists of containers, env or volumes that are no lists of named objects.
    The rest of a pod is the API server's to judge.
    """
    block = Block(template, path, "metadata", "spec")
    metadata = block.block("metadata", "labels", "annotations")
    _check_keys(metadata, "labels", RESERVED_LABELS)
    _check_keys(metadata, "annotations", RESERVED_ANNOTATIONS)
    pod = _mapping(template.get("spec"), f"{path}.spec")
    for name, why in RESERVED_POD_FIELDS.items():
        if name in pod:
            raise SpecError(f"{path}.spec.{name}", f"is set by the operator ({why}): leave it out")
    _named_list(pod, f"{path}.spec", "volumes")
    for field in ("containers", "initContainers"):
        for index, container in enumerate(_named_list(pod, f"{path}.spec", field)):
            _check_container(container, f"{path}.spec.{field}[{index}]")


def check_http_template(template: Mapping[str, Any], path: str) -> None:
    """With protocol http: raises SpecError where a checked `template` would stop the handler before the runner has
    drained, or replace the runner.
    """
    pod = _mapping(template.get("spec"), f"{path}.spec")
    for field in ("containers", "initContainers"):
        for index, container in enumerate(_named_list(pod, f"{path}.spec", field)):
            place = f"{path}.spec.{field}[{index}]"
            lifecycle = _mapping(container.get("lifecycle"), f"{place}.lifecycle")
            if container["name"] == HANDLER and ("restartPolicy" in container or "preStop" in lifecycle):
                raise SpecError(
                    place, "must not set lifecycle.preStop or restartPolicy: the handler is stopped after the runner"
                )
            if field == "containers" and container["name"] == RUNNER and {"image", "command", "args"} & set(container):
                raise SpecError(place, "the runner is the operator's: set its resources, not image, command or args")


def _check_container(container: Mapping[str, Any], path: str) -> None:
    if container["name"] == HANDLER and "image" in container:
        raise SpecError(f"{path}.image", "write the handler's image in spec.handler.image")
    for field in _MERGED:
        items = container.get(field)
        if items is not None and not (isinstance(items, list) and all(isinstance(each, Mapping) for each in items)):
            raise SpecError(f"{path}.{field}", "must be a list of objects")
    for index, variable in enumerate(_named_list(container, path, "env")):
        if variable["name"].startswith(ENV_PREFIX):
            raise SpecError(f"{path}.env[{index}].name", f"{ENV_PREFIX}* is set by the operator: use another name")


def _check_keys(metadata: Block, field: str, reserved: tuple[str, ...]) -> None:
    for key in _mapping(metadata.value(field), f"{metadata.path}.{field}"):
        if key in reserved or key.startswith(DOMAIN):
            raise metadata.error(field, f"{key} is set by the operator: use another key")


def _named_list(parent: Mapping[str, Any], path: str, field: str) -> list[Mapping[str, Any]]:
    """The objects in list `field`, each with a `name`; none if it is absent."""
    items = parent.get(field)
    if items is None:
        return []
    if not isinstance(items, list):
        raise SpecError(f"{path}.{field}", "must be a list")
    for index, item in enumerate(items):
        if not isinstance(_mapping(item, f"{path}.{field}[{index}]").get("name"), str):
            raise SpecError(f"{path}.{field}[{index}].name", "is required")
    return items


def _mapping(value: object, path: str) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise SpecError(path, "must be an object")
    return value

"""Strategic merge of a pod template overlay: maps by key, known lists by the key of their items."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

# What makes an item of a pod's lists the same item, as in the Kubernetes API. Lists that are not here are replaced.
_MERGE_KEYS: dict[str, tuple[str, ...]] = {
    "containers": ("name",),
    "initContainers": ("name",),
    "env": ("name",),
    "volumes": ("name",),
    "volumeMounts": ("mountPath",),
    "volumeDevices": ("devicePath",),
    "ports": ("containerPort", "protocol"),
    "imagePullSecrets": ("name",),
    "hostAliases": ("ip",),
    "topologySpreadConstraints": ("topologyKey", "whenUnsatisfiable"),
}
_APPENDED = ("tolerations",)
_DEFAULTS = {"protocol": "TCP"}  # of the keys


def merge_overlay(base: Mapping[str, Any], overlay: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with `overlay` laid over it. A null in the overlay removes the field."""
    merged = dict(base)
    for field, value in overlay.items():
        if value is None:
            merged.pop(field, None)
        else:
            merged[field] = _merge_value(field, merged.get(field), value)
    return merged


def _merge_value(field: str, base: Any, overlay: Any) -> Any:
    if isinstance(overlay, Mapping):
        return merge_overlay(base if isinstance(base, Mapping) else {}, overlay)
    if not isinstance(overlay, list) or not isinstance(base, list):
        return overlay
    if field in _APPENDED:
        return [*base, *overlay]
    return _merge_list(_MERGE_KEYS[field], base, overlay) if field in _MERGE_KEYS else overlay


def _merge_list(keys: Sequence[str], base: list[Any], overlay: list[Any]) -> list[Any]:
    """Items of `overlay` merged into those of `base` with equal `keys`; the others follow in their order."""
    merged = list(base)
    for item in overlay:
        at = next((index for index, each in enumerate(merged) if _identity(each, keys) == _identity(item, keys)), None)
        if at is None:
            merged.append(item)
        else:
            merged[at] = merge_overlay(merged[at], item)
    return merged


def _identity(item: Mapping[str, Any], keys: Sequence[str]) -> tuple[Any, ...]:
    return tuple(item.get(key, _DEFAULTS.get(key)) for key in keys)

"""The CRD's schema as a plain tree, and how to fill in its defaults as the API server does."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

PATH = Path(__file__).parents[3] / "crds" / "streamqueue.yaml"

CRD: dict[str, Any] = yaml.safe_load(PATH.read_text())
VERSION: dict[str, Any] = CRD["spec"]["versions"][0]
ROOT: dict[str, Any] = VERSION["schema"]["openAPIV3Schema"]
SPEC: dict[str, Any] = ROOT["properties"]["spec"]
STATUS: dict[str, Any] = ROOT["properties"]["status"]


def nodes(schema: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every field of `schema` with its dotted path; `[]` stands for an item of a list."""
    for name, child in schema.get("properties", {}).items():
        yield f"{path}.{name}", child
        yield from nodes(child, f"{path}.{name}")
    if "items" in schema:
        yield from nodes(schema["items"], f"{path}[]")


def with_defaults(value: dict[str, Any], schema: dict[str, Any] = SPEC) -> dict[str, Any]:
    """`value` with the schema's defaults, parents first."""
    filled = copy.deepcopy(value)
    for name, child in schema.get("properties", {}).items():
        if "default" in child:
            filled.setdefault(name, copy.deepcopy(child["default"]))
        if isinstance(filled.get(name), dict):
            filled[name] = with_defaults(filled[name], child)
    return filled

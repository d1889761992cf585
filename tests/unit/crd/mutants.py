"""Manifests broken in every way that the schema's own bounds allow: one field each, made from the CRD."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.unit.crd.schema import SPEC, nodes

_WRONG_TYPES: dict[str, tuple[Any, ...]] = {
    "string": (7, True, {}, []),
    "integer": ("7", 1.5, True, {}),
    "boolean": ("yes", 1, []),
    "object": ("text", 7, []),
    "array": ("text", 7, {}),
}


@dataclass(frozen=True, eq=False)
class Mutant:
    """`path` below the manifest's root, set to `value`; the refusal must hold `field`."""

    path: str
    value: Any
    field: str


def mutants() -> Iterator[Mutant]:
    """Wrong types, values just outside the bounds, and a field that doesn't exist in each block."""
    for path, node in [("spec", SPEC), *nodes(SPEC, "spec")]:
        if "[]" in path:
            continue
        name = path.rpartition(".")[2]
        values = [*_WRONG_TYPES.get(node.get("type", ""), ()), *_out_of_bounds(node)]
        yield from (Mutant(path, value, name) for value in values)
        if "properties" in node and not node.get("x-kubernetes-preserve-unknown-fields"):
            yield Mutant(f"{path}.noSuchField", 1, "noSuchField")


def _out_of_bounds(node: dict[str, Any]) -> Iterator[Any]:
    if "minimum" in node:
        yield node["minimum"] - 1
    if "maximum" in node:
        yield node["maximum"] + 1
    if node.get("minLength"):
        yield ""
    if "maxLength" in node:
        yield "x" * (node["maxLength"] + 1)
    if "enum" in node:
        yield "no-such-choice"

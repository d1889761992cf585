"""The objects of a file, by kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Document = Mapping[str, Any]


class CannotImport(ValueError):
    """There is no StreamQueue that does the same; the message is one line for the author of the ScaledObject."""


def the_scaled_object(documents: Sequence[Document]) -> Document:
    """The one ScaledObject. Raises CannotImport."""
    found = [each for each in documents if each.get("kind") == "ScaledObject"]
    if not found and any(each.get("kind") == "ScaledJob" for each in documents):
        raise CannotImport("a ScaledJob starts a Job for each piece of work; a StreamQueue's workers read in a loop")
    if len(found) != 1:
        raise CannotImport(f"wants one ScaledObject, has {len(found)}")
    return found[0]


def find(documents: Sequence[Document], kind: str, name: str) -> Document | None:
    return next(
        (each for each in documents if each.get("kind") == kind and block(each, "metadata").get("name") == name), None
    )


def block(parent: Mapping[str, Any], *path: str) -> Mapping[str, Any]:
    """The mapping at `path`, empty where there is none."""
    for name in path:
        child = parent.get(name)
        if not isinstance(child, Mapping):
            return {}
        parent = child
    return parent


def items(parent: Mapping[str, Any], field: str) -> list[Mapping[str, Any]]:
    """The mappings in a list, none where there is no list."""
    found = parent.get(field)
    return [each for each in found if isinstance(each, Mapping)] if isinstance(found, list) else []


def switched_on(value: object) -> bool:
    """A switch, which KEDA writes as text, in any word that Go takes for true."""
    return str(value).lower() in ("1", "t", "true")


def switched_off(value: object) -> bool:
    """The same for false."""
    return str(value).lower() in ("0", "f", "false")


def number(value: object, field: str, least: int = 0) -> int:
    """A whole number, which KEDA writes as text. Raises CannotImport."""
    text = str(value)
    if len(text) > 18 or not text.isdecimal() or int(text) < least:
        raise CannotImport(f"{field} is {text!r}: it must be a whole number, {least} or more")
    return int(text)

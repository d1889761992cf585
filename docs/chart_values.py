"""The table of values in the chart's README, from the comments of values.yaml and the types of its schema."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

CHART = Path(__file__).parents[1] / "charts" / "streamqueue"
PAGE = CHART / "README.md"
HEADING = "## Values\n"

_KEY = re.compile(r"^( *)([A-Za-z]\w*):")


def readme(page: str) -> str:
    """The page with its table of values made anew: everything from that heading on."""
    head, found, _ = page.partition(HEADING)
    if not found:
        raise ValueError(f"{PAGE} has no heading {HEADING.strip()!r}")
    rows = "\n".join(_row(*each) for each in _values())
    return f"{head}{HEADING}\n| value | type | default | what it is |\n|---|---|---|---|\n{rows}\n"


def _values() -> Iterator[tuple[str, dict[str, Any], Any, str]]:
    """Each value that can be set on its own: its path, schema, default and comment."""
    schema = json.loads((CHART / "values.schema.json").read_text())
    text = (CHART / "values.yaml").read_text()
    comments = dict(_comments(text.splitlines()))
    return _walk(yaml.safe_load(text), schema, schema["definitions"], comments, "")


def _walk(
    values: dict[str, Any], schema: dict[str, Any], shared: dict[str, Any], comments: dict[str, str], prefix: str
) -> Iterator[tuple[str, dict[str, Any], Any, str]]:
    for name, default in values.items():
        node = schema["properties"][name]
        node = shared[node["$ref"].rpartition("/")[2]] if "$ref" in node else node
        if "properties" in node:
            yield from _walk(default, node, shared, comments, f"{prefix}{name}.")
        else:
            yield prefix + name, node, default, comments.get(prefix + name, "")


def _comments(lines: list[str]) -> Iterator[tuple[str, str]]:
    """The comment above each key, by the key's path."""
    path: list[str] = []
    said: list[str] = []
    for line in lines:
        key = _KEY.match(line)
        if key:
            path = [*path[: len(key[1]) // 2], key[2]]
            yield ".".join(path), " ".join(said)
        said = [*said, line.strip().removeprefix("#").strip()] if line.strip().startswith("#") else []


def _row(path: str, node: dict[str, Any], default: Any, comment: str) -> str:
    shown = json.dumps(default) if isinstance(default, dict | list | bool) else str(default) or '""'
    return f"| `{path}` | {_type(node)} | `{shown}` | {comment} |"


def _type(node: dict[str, Any]) -> str:
    if "enum" in node:
        return ", ".join(f"`{value}`" for value in node["enum"])
    kinds = node["type"] if isinstance(node["type"], list) else [node["type"]]
    return " or ".join(kinds)

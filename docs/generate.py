"""Writes `docs/spec.md` from the CRD, and the chart's table of values: `make docs`. A test checks that it was run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from docs import chart_values

ROOT = Path(__file__).parents[1]
CRD = ROOT / "crds" / "streamqueue.yaml"
PAGE = ROOT / "docs" / "spec.md"

HEAD = """\
# The StreamQueue, field by field

`{group}/{version}`, written from `crds/streamqueue.yaml` by `make docs`. On a cluster, `kubectl explain sq.spec` says
the same. Durations are Go's: `250ms`, `30s`, `1h30m`.
"""


def spec_page() -> str:
    """The page on `spec` and `status`, as Markdown."""
    crd = yaml.safe_load(CRD.read_text())
    version = crd["spec"]["versions"][0]
    root = version["schema"]["openAPIV3Schema"]
    spec, status = root["properties"]["spec"], root["properties"]["status"]
    parts = [HEAD.format(group=crd["spec"]["group"], version=version["name"])]
    plain = {name: child for name, child in spec["properties"].items() if "properties" not in child}
    parts.append(_section("spec", {**spec, "properties": plain, "description": spec["description"]}))
    for name, child in spec["properties"].items():
        if "properties" in child:
            parts.append(_section(f"spec.{name}", child))
    parts.append(_section("status", status))
    return "\n".join(parts)


def _section(title: str, schema: dict[str, Any]) -> str:
    required = set(schema.get("required", ()))
    lines = [
        f"## {title}",
        "",
        schema["description"],
        "",
        "| field | type | default | what it is |",
        "|---|---|---|---|",
    ]
    lines += [_row(path, node, path in required) for path, node in _fields(schema)]
    rules = sorted({rule["message"] for rule in _rules(schema)})
    if rules:
        lines += ["", "Refused, with the sentence that the API server answers:", ""]
        lines += [f"- {message}" for message in rules]
    return "\n".join([*lines, ""])


def _fields(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every field below `schema`, parents first; `[]` stands for an item of a list."""
    for name, child in schema.get("properties", {}).items():
        yield f"{path}{name}", child
        yield from _fields(child, f"{path}{name}.")
        yield from _fields(child.get("items", {}), f"{path}{name}[].")


def _row(path: str, node: dict[str, Any], required: bool) -> str:
    default = "required" if required else _default(node)
    text = " ".join(node.get("description", "").split()).replace("|", "\\|")
    return f"| `{path}` | {_type(node)} | {default} | {text} |"


def _default(node: dict[str, Any]) -> str:
    value = node.get("default")
    return "" if value is None or isinstance(value, dict) else f"`{str(value).lower()}`"


def _type(node: dict[str, Any]) -> str:
    if "enum" in node:
        return ", ".join(f"`{value}`" for value in node["enum"])
    if "minimum" in node and "maximum" in node:
        return f"{node['type']}, {node['minimum']} to {node['maximum']}"
    return str(node.get("type", ""))


def _rules(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield from schema.get("x-kubernetes-validations", ())
    for child in [*schema.get("properties", {}).values(), schema.get("items"), schema.get("additionalProperties")]:
        if isinstance(child, dict):
            yield from _rules(child)


def main() -> None:
    PAGE.write_text(spec_page())
    chart_values.PAGE.write_text(chart_values.readme(chart_values.PAGE.read_text()))


if __name__ == "__main__":
    main()

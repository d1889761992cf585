"""What can be said of the chart without helm; the rest is in tests/e2e/test_chart.py."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml
from docs import chart_values

from tests.unit.crd import schema

CHART = Path(__file__).parents[3] / "charts" / "streamqueue"


def test_the_charts_crd_is_the_crd() -> None:
    assert (CHART / "files" / "crd.yaml").read_bytes() == schema.PATH.read_bytes(), (
        "run: cp crds/streamqueue.yaml charts/streamqueue/files/crd.yaml"
    )


def test_the_crd_is_no_plain_crd_of_helm() -> None:
    """Helm never upgrades what lies in crds/."""
    assert not (CHART / "crds").exists()


def test_the_schema_knows_every_value_and_no_other() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    known = json.loads((CHART / "values.schema.json").read_text())
    for name, child in known["properties"].items():
        if child.get("$ref") == "#/definitions/monitor":
            known["properties"][name] = known["definitions"]["monitor"]

    assert _paths(values, known) == _declared(known) - {"global"}


def _paths(values: dict[str, Any], known: dict[str, Any], prefix: str = "") -> set[str]:
    """The leaves of `values`; an object without declared properties is one."""
    found: set[str] = set()
    for name, value in values.items():
        child = known.get("properties", {}).get(name, {})
        found |= _paths(value, child, f"{prefix}{name}.") if "properties" in child else {f"{prefix}{name}"}
    return found


def _declared(known: dict[str, Any], prefix: str = "") -> set[str]:
    found: set[str] = set()
    for name, child in known["properties"].items():
        found |= _declared(child, f"{prefix}{name}.") if "properties" in child else {f"{prefix}{name}"}
    return found


def test_the_readme_tells_of_every_value() -> None:
    assert chart_values.PAGE.read_text() == chart_values.readme(chart_values.PAGE.read_text()), "run `make docs`"


def test_every_value_has_a_comment() -> None:
    silent = [path for path, _, _, comment in chart_values._values() if not comment.endswith(".")]
    assert not silent


def test_no_right_is_a_wildcard_and_none_deletes() -> None:
    for template in ("rbac.yaml", "_helpers.tpl"):
        text = (CHART / "templates" / template).read_text()
        rules = re.findall(r"(?:apiGroups|resources|verbs): \[(.*)\]", text)
        assert not [rule for rule in rules if "*" in rule or "delete" in rule]


def test_the_lease_that_is_taken_is_the_one_that_may_be_renewed() -> None:
    name = '{{ include "streamqueue.lease" . }}'
    assert f"resourceNames: [{name}]" in (CHART / "templates" / "rbac.yaml").read_text()
    assert f"name: STREAMQUEUE_LEASE, value: {name}" in (CHART / "templates" / "deployment.yaml").read_text()

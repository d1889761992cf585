"""What can be said of the chart without helm; the rest is in tests/e2e/test_chart.py."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from streamqueue.controller import leader
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


def test_the_operator_may_renew_the_lease_that_it_takes() -> None:
    rules = (CHART / "templates" / "rbac.yaml").read_text()

    assert f"resourceNames: [{leader._NAME}]" in rules

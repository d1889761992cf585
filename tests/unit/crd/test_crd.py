"""The CRD and `parse_spec` say the same."""

from __future__ import annotations

import re
from typing import Any

import pytest

from streamqueue.api.conditions import MESSAGE_MAX_LENGTH
from streamqueue.api.durations import MAX_LENGTH, PATTERN
from streamqueue.api.errors import SpecError
from streamqueue.api.names import OBJECT_NAME
from streamqueue.api.parse import check_name, parse_spec
from streamqueue.scaling.model import Reason
from tests.unit.crd.cases import ACCEPTED, PASSWORD, REFUSED, Refused, manifest
from tests.unit.crd.schema import ROOT, SPEC, STATUS, VERSION, nodes, with_defaults

_FIELDS = dict(nodes(SPEC, "spec"))
_INTEGERS = [
    (path, schema)
    for path, schema in _FIELDS.items()
    if schema["type"] == "integer" and not path.startswith("spec.template")
]
_DURATIONS = {
    path: schema
    for path, schema in _FIELDS.items()
    if any("duration(self)" in rule["rule"] for rule in schema.get("x-kubernetes-validations", []))
}
# What makes the other fields agree, so that only the one under test is judged.
_COMPANIONS: dict[str, dict[str, Any]] = {
    "spec.handler.batch": {"spec.handler.timeout": "100ms", "spec.delivery.visibilityTimeout": "168h"},
    "spec.handler.processes": {"spec.handler.protocol": "sdk", "spec.handler.concurrency": 1000},
    "spec.handler.metricsPort": {"spec.handler.protocol": "sdk"},
    "spec.handler.port": {"spec.handler.protocol": "http"},
    "spec.delivery.backoff.initial": {"spec.delivery.backoff.max": "24h"},
    "spec.scaling.scaleDown.delay": {"spec.scaling.targetBacklog": 5},
    "spec.scaling.minReplicas": {"spec.scaling.maxReplicas": 10_000},
    "spec.scaling.replicas": {"spec.scaling.maxReplicas": 10_000},
    "spec.retention.maxAge": {"spec.retention.policy": "acknowledged"},
    "spec.retention.maxLength": {"spec.retention.policy": "acknowledged"},
}


def _check(body: dict[str, Any]) -> None:
    check_name(body["metadata"]["name"])
    parse_spec(body["spec"])


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.id)
def test_the_parser_refuses_what_the_crd_refuses(case: Refused) -> None:
    with pytest.raises(SpecError) as error:
        _check(manifest(case.change))

    assert error.value.field == case.names
    assert str(error.value).startswith(f"{case.names}: ")
    assert PASSWORD not in str(error.value)


@pytest.mark.parametrize("change", ACCEPTED, ids=str)
def test_the_parser_accepts_what_the_crd_accepts(change: dict[str, Any]) -> None:
    _check(manifest(change))


@pytest.mark.parametrize("change", ACCEPTED, ids=str)
def test_defaults_of_the_crd_are_those_of_the_parser(change: dict[str, Any]) -> None:
    spec = manifest(change)["spec"]

    assert parse_spec(with_defaults(spec)) == parse_spec(spec)


@pytest.mark.parametrize(("path", "schema"), _INTEGERS, ids=[path for path, _ in _INTEGERS])
def test_bounds_of_the_crd_are_those_of_the_parser(path: str, schema: dict[str, Any]) -> None:
    companions = _COMPANIONS.get(path, {})
    for value in (schema["minimum"], schema["maximum"]):
        _check(manifest({**companions, path: value}))
    for value in (schema["minimum"] - 1, schema["maximum"] + 1):
        with pytest.raises(SpecError, match="must be from") as error:
            _check(manifest({**companions, path: value}))
        assert error.value.field == path


@pytest.mark.parametrize("path", _DURATIONS)
def test_durations_are_written_and_bounded_alike(path: str) -> None:
    schema = _DURATIONS[path]
    (rule,) = schema["x-kubernetes-validations"]
    least, most = re.findall(r"from (\S+) to (\S+),", rule["message"])[0]

    assert f"self.matches('{PATTERN}')" in rule["rule"]
    assert schema["maxLength"] == MAX_LENGTH
    assert f"{least} to {most}" in " ".join(schema["description"].split())
    with pytest.raises(SpecError, match=f"must be from {least} to {most}, not") as error:
        _check(manifest({**_COMPANIONS.get(path, {}), path: "99999h"}))
    assert error.value.field == path


def test_a_secrets_name_is_any_that_kubernetes_allows() -> None:
    """In one spelling, which a queue's own name and the parser share."""
    secrets = [schema for path, schema in _FIELDS.items() if path.lower().endswith("secretref")]
    rules = [schema["x-kubernetes-validations"][0]["rule"] for schema in secrets]

    assert rules == [f"self.name.matches('^{OBJECT_NAME}$')"] * 4
    assert {schema["properties"]["name"]["maxLength"] for schema in secrets} == {253}


def test_every_duration_is_checked() -> None:
    assert len(_DURATIONS) == 10
    assert _DURATIONS.keys() == {
        path for path, schema in _FIELDS.items() if schema["type"] == "string" and schema.get("maxLength") == MAX_LENGTH
    }


def test_no_duration_pattern_or_url_pattern_prints_the_value() -> None:
    """The API server's error for a `pattern` shows the value; a CEL rule at a string or object shows its type."""
    assert not [path for path, schema in _FIELDS.items() if "pattern" in schema]
    assert not [path for path in _FIELDS if path.endswith("redis.url") and "x-kubernetes-validations" in _FIELDS[path]]


def test_every_field_is_described() -> None:
    undescribed = [path for path, schema in [*_FIELDS.items(), *nodes(STATUS, "status")] if "description" not in schema]

    assert not undescribed


def test_every_rule_has_a_message() -> None:
    rules = [rule for _, schema in nodes(ROOT, "") for rule in schema.get("x-kubernetes-validations", [])]

    assert rules
    assert all(rule["message"] for rule in rules)


def test_a_conditions_message_is_cut_where_the_schema_ends() -> None:
    assert STATUS["properties"]["conditions"]["items"]["properties"]["message"]["maxLength"] == MESSAGE_MAX_LENGTH


def test_every_reason_is_named_in_the_reference() -> None:
    described = STATUS["properties"]["reason"]["description"]

    assert [reason for reason in Reason if reason not in described] == []


def test_the_scale_subresource_and_the_columns() -> None:
    assert VERSION["subresources"]["scale"] == {
        "specReplicasPath": ".spec.scaling.replicas",
        "statusReplicasPath": ".status.replicas",
        "labelSelectorPath": ".status.selector",
    }
    shown = [column["name"] for column in VERSION["additionalPrinterColumns"] if not column.get("priority")]
    assert shown == ["READY", "LAG", "PENDING", "OLDEST", "DLQ", "REPLICAS", "REASON", "AGE"]

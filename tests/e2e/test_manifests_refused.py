"""The API server refuses every manifest that breaks a rule, with an error that says what to write instead."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any, Protocol

import pytest

from tests.unit.crd.cases import ACCEPTED, IMMUTABLE, PASSWORD, REFUSED, Refused, manifest

NAMESPACE = f"manifests-{uuid.uuid4().hex[:8]}"  # a namespace takes a while to go: the next run needs its own


class Result(Protocol):
    returncode: int
    stdout: str
    stderr: str


class Kubectl(Protocol):
    def __call__(self, *args: str, input: str | None = None, check: bool = True) -> Result: ...


@pytest.fixture(scope="module")
def namespace(kubectl: Kubectl) -> Iterator[str]:
    kubectl("create", "namespace", NAMESPACE)
    yield NAMESPACE
    kubectl("delete", "namespace", NAMESPACE, "--wait=false")


def _submit(kubectl: Kubectl, verb: str, body: dict[str, Any], *more: str, check: bool = False) -> Result:
    text = json.dumps(body, ensure_ascii=False)
    return kubectl(verb, "--namespace", NAMESPACE, "--validate=strict", "-f", "-", *more, input=text, check=check)


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.id)
def test_a_broken_rule_is_named(kubectl: Kubectl, namespace: str, case: Refused) -> None:
    result = _submit(kubectl, "create", manifest(case.change), "--dry-run=server")

    assert result.returncode != 0, f"accepted: {case.change}"
    assert case.says in " ".join(result.stderr.split())
    assert PASSWORD not in result.stderr


@pytest.mark.parametrize("change", ACCEPTED, ids=str)
def test_what_keeps_the_rules_is_accepted(kubectl: Kubectl, namespace: str, change: dict[str, Any]) -> None:
    _submit(kubectl, "create", manifest(change), "--dry-run=server", check=True)


@pytest.fixture(scope="module")
def existing(kubectl: Kubectl, namespace: str) -> str:
    """A queue that exists; paused at zero replicas, so that nothing runs for it."""
    body = manifest({"metadata.name": "existing", "spec.scaling.paused": True})
    _submit(kubectl, "create", body, check=True)
    return "existing"


@pytest.mark.parametrize(("change", "says"), IMMUTABLE, ids=lambda value: str(value))
def test_what_cannot_change_is_named(kubectl: Kubectl, existing: str, change: dict[str, Any], says: str) -> None:
    result = _submit(kubectl, "apply", manifest({"metadata.name": existing, **change}), "--dry-run=server")

    assert result.returncode != 0
    assert says in " ".join(result.stderr.split())


def test_the_scale_subresource_pins_within_the_limits(kubectl: Kubectl, existing: str) -> None:
    target = ("scale", "streamqueue", existing, "--namespace", NAMESPACE)
    above = kubectl(*target, "--replicas=11", check=False)
    assert above.returncode != 0
    assert "raise maxReplicas first" in above.stderr

    kubectl(*target, "--replicas=0")
    pinned = kubectl("get", "sq", existing, "--namespace", NAMESPACE, "-o", "jsonpath={.spec.scaling.replicas}")
    assert pinned.stdout == "0"


def test_defaults_are_written_out_by_the_api_server(kubectl: Kubectl, existing: str) -> None:
    shown = json.loads(kubectl("get", "sq", existing, "--namespace", NAMESPACE, "-o", "json").stdout)

    assert shown["spec"]["delivery"] == {
        "visibilityTimeout": "5m",
        "maxDeliveries": 5,
        "deadLetter": {"maxLength": 10000},
    }
    assert shown["spec"]["handler"]["timeout"] == "2m"
    assert shown["spec"]["scaling"]["scaleDown"] == {"delay": "30s"}
    assert "targetWait" not in shown["spec"]["scaling"]

"""The API server refuses every manifest that breaks a rule, with an error that says what to write instead."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from kubernetes import client, config

from tests.e2e.world import World
from tests.kube.kubectl import Done, Kubectl
from tests.unit.crd.cases import ACCEPTED, IMMUTABLE, PASSWORD, REFUSED, Refused, manifest
from tests.unit.crd.mutants import mutants

GROUP_VERSION, PLURAL = ("streamqueue.dev", "v1alpha1"), "streamqueues"
EXISTING = {"metadata.name": "existing", "spec.stream": "manifests"}


@pytest.fixture(scope="module")
def refusal(kubectl: Kubectl) -> Iterator[Callable[[dict[str, Any]], str]]:
    """What the API server has against creating this object, as kubectl would ask it to; empty where it accepts."""
    with config.new_client_from_config(kubectl.kubeconfig) as api:
        queues = client.CustomObjectsApi(api)

        def ask(body: dict[str, Any]) -> str:
            try:
                queues.create_namespaced_custom_object(
                    *GROUP_VERSION, kubectl.namespace, PLURAL, body, dry_run="All", field_validation="Strict"
                )
            except client.ApiException as answer:
                return str(json.loads(answer.body)["message"])
            return ""

        yield ask


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.id)
def test_a_broken_rule_is_named(refusal: Callable[[dict[str, Any]], str], case: Refused) -> None:
    message = refusal(manifest(case.change))

    assert case.says in " ".join(message.split())
    assert PASSWORD not in message


@pytest.mark.parametrize("change", ACCEPTED, ids=str)
def test_what_keeps_the_rules_is_accepted(refusal: Callable[[dict[str, Any]], str], change: dict[str, Any]) -> None:
    assert refusal(manifest(change)) == ""


def _submit(kubectl: Kubectl, verb: str, body: dict[str, Any], *more: str, check: bool = False) -> Done:
    text = json.dumps(body, ensure_ascii=False)
    return kubectl(verb, "--validate=strict", "--filename=-", *more, input=text, check=check)


@pytest.fixture(scope="module")
def existing(kubectl: Kubectl) -> str:
    """A queue that exists, on a stream that no other test uses; paused at zero, so that nothing runs for it."""
    body = manifest({**EXISTING, "spec.scaling.paused": True})
    _submit(kubectl, "create", body, check=True)
    return "existing"


@pytest.mark.parametrize(("change", "says"), IMMUTABLE, ids=str)
def test_what_cannot_change_is_named(kubectl: Kubectl, existing: str, change: dict[str, Any], says: str) -> None:
    result = _submit(kubectl, "apply", manifest({**EXISTING, **change}), "--dry-run=server")

    assert result.returncode != 0
    assert says in " ".join(result.stderr.split())


def test_the_scale_subresource_pins_within_the_limits(kubectl: Kubectl, existing: str) -> None:
    target = ("scale", "streamqueue", existing)
    above = kubectl(*target, "--replicas=11", check=False)
    assert above.returncode != 0
    assert "raise maxReplicas first" in above.stderr

    kubectl(*target, "--replicas=0")
    pinned = kubectl("get", "sq", existing, "-o", "jsonpath={.spec.scaling.replicas}")
    assert pinned.stdout == "0"


def test_defaults_are_written_out_by_the_api_server(kubectl: Kubectl, existing: str) -> None:
    shown = kubectl.get("sq", existing)

    assert shown["spec"]["delivery"] == {
        "visibilityTimeout": "5m",
        "maxDeliveries": 5,
        "backoff": {"initial": "1s", "max": "5m"},
        "deadLetter": {"maxLength": 10000},
    }
    assert shown["spec"]["handler"]["timeout"] == "2m"
    assert shown["spec"]["scaling"]["maxReplicas"] == 10
    assert "targetWait" not in shown["spec"]["scaling"]


def test_every_field_set_wrong_in_every_way_is_named(world: World, refusal: Callable[[dict[str, Any]], str]) -> None:
    said = {mutant: refusal(manifest({mutant.path: mutant.value})) for mutant in mutants()}

    assert [mutant for mutant, message in said.items() if not message] == []
    assert [(mutant, message) for mutant, message in said.items() if mutant.field not in message] == []
    world.note(f"{len(said)} manifests with one field set wrong: each refused by a sentence that names the field")

"""With protocol http: the runner is the pod's main container, the handler a sidecar that is stopped after it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from streamqueue.api.spec import QueueSpec
from streamqueue.manifests import TEMPLATE_VERSION, OperatorImage, settle_template
from streamqueue.worker.http.settings import Target
from streamqueue.worker.settings import Settings
from tests.unit.manifests.build import IMAGE, SECRET, SECRETS, deployment, environment, spec


def http(template: dict[str, Any] | None = None, redis: dict[str, Any] | None = None, **handler: Any) -> QueueSpec:
    change: dict[str, Any] = {"handler": {"image": "shop/orders:1", "protocol": "http", **handler}}
    change |= {"template": template} if template else {}
    return spec(**change | ({"redis": redis} if redis else {}))


def pod(parsed: QueueSpec) -> dict[str, Any]:
    found: dict[str, Any] = deployment(parsed)["spec"]["template"]["spec"]
    return found


def overlaid(**pod_fields: Any) -> dict[str, Any]:
    return pod(http({"spec": pod_fields}))


def test_a_changed_derivation_has_a_version_of_its_own() -> None:
    golden = Path(__file__).with_name(f"template-{TEMPLATE_VERSION}-http.json")
    parsed = http(redis=SECRET, body={"field": "image", "contentType": "image/png"}, path="/tasks", timeout="30s")

    assert deployment(parsed, SECRETS)["spec"]["template"] == json.loads(golden.read_text()), (
        f"the derived template is not that of version {TEMPLATE_VERSION}: raise TEMPLATE_VERSION"
    )


def test_the_kubelet_stops_the_handler_after_the_runner() -> None:
    (handler,), (runner,) = pod(http())["initContainers"], pod(http())["containers"]

    assert (handler["name"], handler["restartPolicy"], handler["image"]) == ("handler", "Always", "shop/orders:1")
    assert (runner["name"], runner["image"]) == ("runner", IMAGE.name)
    assert "lifecycle" not in handler


def test_the_runner_starts_once_the_handler_listens() -> None:
    handler = pod(http(port=3000))["initContainers"][0]

    assert handler["startupProbe"]["tcpSocket"] == {"port": 3000}
    assert environment(handler) == {"PORT": "3000"}


def test_the_handler_learns_no_password() -> None:
    parsed = http(redis=SECRET)

    assert "redis" not in json.dumps(pod(parsed)["initContainers"])
    assert "redis" in json.dumps(pod(parsed)["containers"])


def test_the_runner_finds_what_it_needs() -> None:
    parsed = http(port=3000, path="/tasks?x=$(HOME)", body={"field": "image", "contentType": "image/png"})
    variables = environment(pod(parsed)["containers"][0])
    expanded = {name: str(value).replace("$$", "$") for name, value in variables.items()}

    assert Settings.from_environment(expanded).stream == "orders"
    assert Target.from_environment(expanded) == Target("http://127.0.0.1:3000/tasks?x=$(HOME)", "image", "image/png")


def test_the_runner_has_no_rights_at_all() -> None:
    assert pod(http())["containers"][0]["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
        "runAsUser": 65532,
    }


@pytest.mark.parametrize("place", ["containers", "initContainers"])
def test_the_overlays_handler_is_the_sidecar(place: str) -> None:
    fields = {"resources": {"limits": {"memory": "1Gi"}}, "env": [{"name": "MODE", "value": "fast"}]}
    merged = overlaid(**{place: [{"name": "handler", **fields}]})
    (handler,) = merged["initContainers"]

    assert handler["resources"] == fields["resources"] and handler["image"] == "shop/orders:1"
    assert environment(handler) == {"PORT": "8080", "MODE": "fast"}
    assert [each["name"] for each in merged["containers"]] == ["runner"]


def test_what_prepares_for_the_handler_runs_before_it() -> None:
    merged = overlaid(
        initContainers=[{"name": "fetch-model", "image": "x"}], containers=[{"name": "proxy", "image": "y"}]
    )

    assert [each["name"] for each in merged["initContainers"]] == ["fetch-model", "handler"]
    assert [each["name"] for each in merged["containers"]] == ["runner", "proxy"]


def test_an_overlays_startup_probe_takes_the_place_of_ours() -> None:
    probe = {"httpGet": {"path": "/ready", "port": 8080}}

    assert (
        overlaid(containers=[{"name": "handler", "startupProbe": probe}])["initContainers"][0]["startupProbe"] == probe
    )


def test_the_runners_resources_can_be_set() -> None:
    resources = {"limits": {"memory": "1Gi"}}
    (runner,) = overlaid(containers=[{"name": "runner", "resources": resources}])["containers"]

    assert runner["resources"]["limits"] == {"memory": "1Gi"} and runner["image"] == IMAGE.name


@pytest.mark.parametrize(
    "newer",
    [OperatorImage("streamqueue/operator:2", "IfNotPresent"), OperatorImage("streamqueue/operator:1", "Always")],
)
def test_a_new_image_of_the_operator_restarts_no_fleet(newer: OperatorImage) -> None:
    live, upgraded = deployment(http()), deployment(http(), runner=newer)

    assert upgraded["spec"]["template"] != live["spec"]["template"]
    assert settle_template(upgraded, live, refused=False, secrets=None) == live
    idle = live | {"spec": live["spec"] | {"replicas": 0}}
    assert settle_template(upgraded, idle, refused=False, secrets=None) == upgraded

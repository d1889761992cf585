"""The chart as helm renders it, and as the API server takes it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.handles import load
from tests.kube.kubectl import Kubectl

CHART = Path(__file__).parents[2] / "charts" / "streamqueue"
CRD = CHART.parents[1] / "crds" / "streamqueue.yaml"
KEEP = "helm.sh/resource-policy"

# Every right of the operator where queues run: no wildcard, no delete.
QUEUE_RIGHTS = {
    ("streamqueue.dev", "streamqueues"): {"get", "list", "watch"},
    ("streamqueue.dev", "streamqueues/status"): {"get", "update", "patch"},
    ("apps", "deployments"): {"get", "list", "watch", "create", "patch"},
    ("batch", "cronjobs"): {"get", "list", "watch", "create", "patch"},
    ("policy", "poddisruptionbudgets"): {"get", "list", "watch", "create", "patch"},
    ("", "serviceaccounts"): {"get", "list", "watch", "create", "patch"},
    ("", "pods"): {"get", "list", "watch", "patch"},
    ("", "secrets"): {"get"},
    ("", "events"): {"create", "patch"},
}


def helm(*args: str) -> subprocess.CompletedProcess[str]:
    program = os.environ.get("HELM") or load().helm
    return subprocess.run([program, *args], capture_output=True, text=True, check=False)


def render(*sets: str, kube_version: str = "1.29.0") -> str:
    values = [word for each in sets for word in ("--set", each)]
    result = helm("template", "sq", str(CHART), "--namespace", "system", "--kube-version", kube_version, *values)
    assert result.returncode == 0, result.stderr
    return result.stdout


def objects(*sets: str) -> list[dict[str, Any]]:
    return [each for each in yaml.safe_load_all(render(*sets)) if each]


def of_kind(found: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [each for each in found if each["kind"] == kind]


def pod(found: list[dict[str, Any]]) -> dict[str, Any]:
    (deployment,) = of_kind(found, "Deployment")
    spec: dict[str, Any] = deployment["spec"]["template"]["spec"]
    return spec


def rights(role: dict[str, Any]) -> dict[tuple[str, str], set[str]]:
    granted: dict[tuple[str, str], set[str]] = {}
    for rule in role["rules"]:
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                granted.setdefault((group, resource), set()).update(rule["verbs"])
    return granted


def test_the_chart_is_clean() -> None:
    result = helm("lint", "--strict", "--kube-version", "1.29.0", str(CHART))

    assert result.returncode == 0, result.stdout


def test_an_older_kubernetes_is_refused() -> None:
    result = helm("template", "sq", str(CHART), "--kube-version", "1.28.9")

    assert result.returncode != 0
    assert ">=1.29.0" in result.stderr


def test_the_whole_cluster_is_served_with_the_rights_needed_and_no_more() -> None:
    found = objects()
    (cluster_role,) = of_kind(found, "ClusterRole")
    (leader,) = of_kind(found, "Role")

    assert rights(cluster_role) == QUEUE_RIGHTS
    assert leader["metadata"]["namespace"] == "system"
    assert rights(leader) == {("coordination.k8s.io", "leases"): {"get", "create", "update", "patch"}}


def test_watched_namespaces_alone_are_open_to_the_operator() -> None:
    found = objects("watchNamespaces={shop,billing}")
    queue_roles = {each["metadata"]["namespace"]: each for each in of_kind(found, "Role") if len(each["rules"]) > 2}

    assert not of_kind(found, "ClusterRole")
    assert not of_kind(found, "ClusterRoleBinding")
    assert queue_roles.keys() == {"shop", "billing"}
    assert all(rights(role) == QUEUE_RIGHTS for role in queue_roles.values())
    assert {each["metadata"]["namespace"] for each in of_kind(found, "RoleBinding")} == {"shop", "billing", "system"}
    variables = {each["name"]: each.get("value") for each in pod(found)["containers"][0]["env"]}
    assert variables["STREAMQUEUE_NAMESPACES"] == "shop,billing"


def test_every_binding_is_of_the_operators_account() -> None:
    found = [*objects(), *objects("watchNamespaces={shop}")]
    (account,) = {each["metadata"]["name"] for each in of_kind(found, "ServiceAccount")}
    bindings = [each for each in found if each["kind"].endswith("Binding")]

    assert len(bindings) == 4
    for binding in bindings:
        assert binding["subjects"] == [{"kind": "ServiceAccount", "name": account, "namespace": "system"}]
    assert pod(objects())["serviceAccountName"] == account


def test_the_operator_runs_without_privileges() -> None:
    spec = pod(objects())
    (container,) = spec["containers"]

    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_the_reclaim_cron_jobs_run_the_same_image() -> None:
    (container,) = pod(objects("image.repository=registry.example/sq", "image.tag=v7"))["containers"]

    assert container["image"] == "registry.example/sq:v7"
    assert {"name": "STREAMQUEUE_IMAGE", "value": "registry.example/sq:v7"} in container["env"]


@pytest.mark.parametrize("keep", [True, False])
def test_the_crd_is_the_one_of_the_project_and_kept_on_demand(keep: bool) -> None:
    (shown,) = of_kind(objects(f"crds.keep={str(keep).lower()}"), "CustomResourceDefinition")

    assert shown["metadata"].pop("annotations", {}) == ({KEEP: "keep"} if keep else {})
    assert shown == yaml.safe_load(CRD.read_text())


def test_the_crd_is_kept_by_default() -> None:
    (shown,) = of_kind(objects(), "CustomResourceDefinition")

    assert shown["metadata"]["annotations"] == {KEEP: "keep"}


def test_the_crd_can_be_left_out() -> None:
    assert not of_kind(objects("crds.enabled=false"), "CustomResourceDefinition")


def test_placement_values_reach_the_pod() -> None:
    found = objects("nodeSelector.disk=ssd", "tolerations[0].key=gpu", "podAnnotations.note=x", "replicaCount=2")
    (deployment,) = of_kind(found, "Deployment")

    assert pod(found)["nodeSelector"] == {"disk": "ssd"}
    assert pod(found)["tolerations"] == [{"key": "gpu"}]
    assert deployment["spec"]["template"]["metadata"]["annotations"] == {"note": "x"}
    assert deployment["spec"]["replicas"] == 2


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("loglevel=debug", "loglevel"),
        ("logLevel=loud", "logLevel"),
        ("image.pullPolicy=Sometimes", "pullPolicy"),
        ("replicaCount=-1", "replicaCount"),
        ("watchNamespaces=shop", "watchNamespaces"),
        ("watchNamespaces={Shop}", "watchNamespaces"),
        ("crds.keep=maybe", "keep"),
    ],
)
def test_a_wrong_value_is_refused_by_name(value: str, says: str) -> None:
    result = helm("template", "sq", str(CHART), "--kube-version", "1.29.0", "--set", value)

    assert result.returncode != 0
    assert says in result.stderr


def test_the_api_server_takes_all_of_it(kubectl: Kubectl) -> None:
    """Without the CRD, which the cluster has from the release under test."""
    kubectl(
        *("create", "--dry-run=server", "--validate=strict", "--filename=-"),
        input=render("crds.enabled=false").replace("namespace: system", f"namespace: {kubectl.namespace}"),
    )

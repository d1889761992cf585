"""The chart as helm renders it, and as the API server takes it."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator, Sequence
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from streamqueue.controller.settings import Settings
from tests.cluster.go_build import find_go
from tests.cluster.handles import load
from tests.kube.chart import Chart
from tests.kube.kubectl import Kubectl

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "streamqueue"
CRD = ROOT / "crds" / "streamqueue.yaml"
KEEP = "helm.sh/resource-policy"
DIGEST = f"sha256:{64 * 'a'}"

MONITORING = "github.com/prometheus-operator/prometheus-operator@v0.85.0"
OPTIONS = ("podDisruptionBudget", "networkPolicy", "podMonitor", "serviceMonitor", "prometheusRule", "dashboard")
EVERYTHING = (
    *(f"{option}.enabled=true" for option in OPTIONS),
    "networkPolicy.scrapeFrom[0].namespaceSelector.matchLabels.name=monitoring",
    "networkPolicy.egress[0].ports[0].port=443",
    "priorityClassName=system-cluster-critical",
    "imagePullSecrets[0].name=registry",
    "topologySpreadConstraints[0].maxSkew=1",
    "topologySpreadConstraints[0].topologyKey=zone",
    "topologySpreadConstraints[0].whenUnsatisfiable=ScheduleAnyway",
)

# Every right of the operator where queues run: no wildcard, no delete.
QUEUE_RIGHTS = {
    ("streamqueue.dev", "streamqueues"): {"list", "watch"},
    ("streamqueue.dev", "streamqueues/status"): {"patch"},
    ("apps", "deployments"): {"get", "list", "watch", "create", "patch"},
    ("batch", "cronjobs"): {"get", "list", "watch", "create", "patch"},
    ("policy", "poddisruptionbudgets"): {"get", "list", "watch", "create", "patch"},
    ("", "serviceaccounts"): {"get", "list", "watch", "create", "patch"},
    ("", "pods"): {"list", "watch", "patch"},
    ("", "secrets"): {"get"},
    ("", "events"): {"create"},
}


def helm(*args: str) -> subprocess.CompletedProcess[str]:
    program = os.environ.get("HELM") or load().helm
    return subprocess.run([program, *args], capture_output=True, text=True, check=False)


def render(*sets: str, release: str = "sq", namespace: str = "system", more: Sequence[str] = ()) -> str:
    values = [word for each in sets for word in ("--set", each)]
    result = helm("template", release, str(CHART), "--namespace", namespace, "--kube-version", "1.29.0", *more, *values)
    assert result.returncode == 0, result.stderr
    return result.stdout


@cache
def _objects(sets: tuple[str, ...], release: str) -> list[dict[str, Any]]:
    return [each for each in yaml.safe_load_all(render(*sets, release=release)) if each]


def objects(*sets: str, release: str = "sq") -> list[dict[str, Any]]:
    return deepcopy(_objects(sets, release))


def of_kind(found: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [each for each in found if each["kind"] == kind]


def pod(found: list[dict[str, Any]]) -> dict[str, Any]:
    (deployment,) = of_kind(found, "Deployment")
    spec: dict[str, Any] = deployment["spec"]["template"]["spec"]
    return spec


def settings(found: list[dict[str, Any]]) -> Settings:
    (container,) = pod(found)["containers"]
    return Settings.from_env({each["name"]: each["value"] for each in container["env"] if "value" in each})


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


NUMBERS = ("2024", "123456", '["777","1e3","true"]')


@pytest.mark.parametrize("release", [NUMBERS[0], "2.streamqueue", "my.release", "streamqueue"])
def test_names_of_any_shape_stay_names(release: str) -> None:
    """Of releases and namespaces: digits alone are a number to YAML, and a Service's name has no dots and begins with a
    letter.
    """
    more = ("--set-json", f"watchNamespaces={NUMBERS[2]}")
    text = render(*EVERYTHING, release=release, namespace=NUMBERS[1], more=more)
    found = [each for each in yaml.safe_load_all(text) if each]
    assert {each["metadata"].get("namespace") for each in found} == {None, NUMBERS[1], *json.loads(NUMBERS[2])}
    assert all(isinstance(value, str) for each in found for value in each["metadata"].get("labels", {}).values())
    (service,) = of_kind(found, "Service")
    assert re.fullmatch("[a-z]([-a-z0-9]{0,61}[a-z0-9])?", service["metadata"]["name"])


def test_the_whole_cluster_is_served_with_the_rights_needed_and_no_more() -> None:
    found = objects()
    (cluster_role,) = of_kind(found, "ClusterRole")
    (leader,) = of_kind(found, "Role")

    assert rights(cluster_role) == QUEUE_RIGHTS
    assert leader["metadata"]["namespace"] == "system"
    assert rights(leader) == {("coordination.k8s.io", "leases"): {"get", "create", "update"}}


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


@pytest.mark.parametrize(
    ("sets", "image"),
    [
        (["image.tag=v7"], "registry.example/sq:v7"),
        (["image.tag=v7", f"image.digest={DIGEST}"], f"registry.example/sq@{DIGEST}"),
    ],
)
def test_the_reclaim_cron_jobs_run_the_same_image(sets: list[str], image: str) -> None:
    (container,) = pod(objects("image.repository=registry.example/sq", *sets))["containers"]

    assert container["image"] == image
    assert {"name": "STREAMQUEUE_IMAGE", "value": image} in container["env"]


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


def test_the_operator_is_told_how_reclaim_pods_run() -> None:
    placed = ("reclaim.nodeSelector.pool=system", "reclaim.tolerations[0].key=system")
    found = settings(objects(*placed, "reclaim.resources.limits.cpu=500m")).reclaim

    assert found.placement == {"nodeSelector": {"pool": "system"}, "tolerations": [{"key": "system"}]}
    assert found.resources["limits"] == {"cpu": "500m", "memory": "256Mi"}
    assert settings(objects()).reclaim.placement == {}


def test_a_quota_of_any_kind_admits_a_reclaim_pod() -> None:
    resources = settings(objects()).reclaim.resources
    assert all(resources[kind].keys() == {"cpu", "memory"} for kind in ("requests", "limits"))


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("loglevel=debug", "loglevel"),
        ("logLevel=loud", "logLevel"),
        ("image.pullPolicy=Sometimes", "pullPolicy"),
        (f"image.tag={DIGEST}", "tag"),
        ("image.digest=v7", "digest"),
        ("replicaCount=-1", "replicaCount"),
        ("watchNamespaces=shop", "watchNamespaces"),
        ("watchNamespaces={Shop}", "watchNamespaces"),
        ("crds.keep=maybe", "keep"),
        ("podMonitor.interval=often", "interval"),
        ("podDisruptionBudget.maxUnavailable=120%", "maxUnavailable"),
        ("topologySpreadConstraints[0].maxSkew=1", "topologyKey"),
        ("imagePullSecrets={registry}", "imagePullSecrets"),
        ("networkPolicy.scrapeFrom=all", "scrapeFrom"),
        (r"podLabels.app\.kubernetes\.io/name=x", "app.kubernetes.io/name"),
        (r"podMonitor.labels.helm\.sh/chart=x", "helm.sh/chart"),
    ],
)
def test_a_wrong_value_is_refused_by_name(value: str, says: str) -> None:
    result = helm("template", "sq", str(CHART), "--kube-version", "1.29.0", "--set", value)

    assert result.returncode != 0
    assert says in result.stderr


def test_two_releases_in_one_namespace_share_no_lease() -> None:
    leases = {
        variable["value"]
        for release in ("sq", "streamqueue-two")
        for variable in pod(objects(release=release))["containers"][0]["env"]
        if variable["name"] == "STREAMQUEUE_LEASE"
    }
    assert leases == {"sq-streamqueue-operator", "streamqueue-two-operator"}


def test_the_spread_counts_the_operators_own_pods() -> None:
    constraint = "topologySpreadConstraints[0]"
    sets = (
        f"{constraint}.maxSkew=1",
        f"{constraint}.topologyKey=zone",
        f"{constraint}.whenUnsatisfiable=DoNotSchedule",
    )
    found = objects(*sets)
    (deployment,) = of_kind(found, "Deployment")
    (spread,) = pod(found)["topologySpreadConstraints"]

    assert spread["labelSelector"] == deployment["spec"]["selector"]
    assert (spread["maxSkew"], spread["topologyKey"]) == (1, "zone")


def test_a_network_policy_lets_scrapers_and_the_test_in() -> None:
    scraper = "networkPolicy.scrapeFrom[0].namespaceSelector.matchLabels.name=monitoring"
    (policy,) = of_kind(objects("networkPolicy.enabled=true", scraper), "NetworkPolicy")
    (rule,) = policy["spec"]["ingress"]
    (test,) = of_kind(objects(), "Pod")

    assert policy["spec"]["policyTypes"] == ["Ingress"]
    assert rule["ports"] == [{"port": "http"}]
    namespaces, tests = rule["from"]
    assert namespaces == {"namespaceSelector": {"matchLabels": {"name": "monitoring"}}}
    assert tests["podSelector"]["matchLabels"].items() <= test["metadata"]["labels"].items()


def test_egress_is_closed_only_with_rules_for_it() -> None:
    (policy,) = of_kind(
        objects("networkPolicy.enabled=true", "networkPolicy.egress[0].ports[0].port=6379"), "NetworkPolicy"
    )

    assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
    assert policy["spec"]["egress"] == [{"ports": [{"port": 6379}]}]


def test_the_rules_and_the_dashboard_are_those_of_the_files() -> None:
    found = objects(
        "prometheusRule.enabled=true", "prometheusRule.runbook=https://wiki.example/sq", "dashboard.enabled=true"
    )
    (rule,) = of_kind(found, "PrometheusRule")
    (dashboard,) = of_kind(found, "ConfigMap")
    text = (CHART / "files" / "rules.yaml").read_text().replace("docs/operations.md", "https://wiki.example/sq")

    assert rule["spec"] == yaml.safe_load(text)
    assert dashboard["data"]["streamqueue.json"] == (CHART / "files" / "dashboard.json").read_text()
    assert dashboard["metadata"]["labels"]["grafana_dashboard"] == "1"


def test_a_monitor_keeps_the_namespace_of_a_queue() -> None:
    """Else Prometheus would put the operator's namespace in its place."""
    found = objects("podMonitor.enabled=true", "serviceMonitor.enabled=true")
    (pods,), (services,) = of_kind(found, "PodMonitor"), of_kind(found, "ServiceMonitor")

    for (endpoint,) in (pods["spec"]["podMetricsEndpoints"], services["spec"]["endpoints"]):
        assert (endpoint["port"], endpoint["path"], endpoint["honorLabels"]) == ("http", "/metrics", True)


@pytest.fixture(scope="module")
def monitoring_kinds(kubectl: Kubectl) -> Iterator[None]:
    """The kinds of the Prometheus operator, from its Go module; gone afterwards where they weren't there before."""
    go = find_go()
    if go is None:
        pytest.skip("Go is needed to fetch the CRDs of the Prometheus operator")
    fetched = subprocess.run(
        [go, "mod", "download", "-json", MONITORING], capture_output=True, text=True, check=True, cwd="/"
    )
    folder = Path(json.loads(fetched.stdout)["Dir"]) / "example" / "prometheus-operator-crd"
    names = ("podmonitors", "servicemonitors", "prometheusrules")
    files = [word for name in names for word in ("--filename", str(folder / f"monitoring.coreos.com_{name}.yaml"))]
    kubectl("apply", "--server-side", *files)
    kubectl("wait", "--for=condition=Established", "--timeout=30s", *files)
    yield
    kubectl("delete", "--wait=false", *files)


@pytest.mark.usefixtures("monitoring_kinds")
def test_the_api_server_takes_all_of_it(kubectl: Kubectl) -> None:
    """With every option on; without the CRD, which the cluster has from the release under test."""
    text = render("crds.enabled=false", *EVERYTHING, namespace=kubectl.namespace, more=["--skip-tests"])
    done = kubectl("create", "--dry-run=server", "--validate=strict", "--filename=-", input=text)
    for kind in ("podmonitor", "servicemonitor", "prometheusrule", "networkpolicy", "poddisruptionbudget", "configmap"):
        assert f"{kind}." in done.stdout or f"{kind}/" in done.stdout, done.stdout


def test_helm_test_says_that_it_works(chart: Chart) -> None:
    said = chart.test()
    assert "1 operator pod(s) ready, one leads" in said
    assert "StreamQueue(s) in all namespaces" in said


def test_the_one_file_holds_the_whole_chart(chart: Chart) -> None:
    """`make render`, and the API server takes each object of it."""
    done = subprocess.run(["make", "render"], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    text = (ROOT / "dist" / "streamqueue.yaml").read_text()
    kinds = [each["kind"] for each in yaml.safe_load_all(text) if each]

    assert kinds[0] == "Namespace" and "Pod" not in kinds
    assert set(kinds[1:]) == {each["kind"] for each in objects()} - {"Pod"}
    command = ("apply", "--server-side", "--force-conflicts", "--dry-run=server", "--validate=strict", "--filename=-")
    assert len(chart.operator(*command, input=text).stdout.splitlines()) == len(kinds)

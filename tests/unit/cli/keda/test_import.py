"""ScaledObjects as people have them, and the StreamQueues they become (`*.golden`)."""

from __future__ import annotations

import copy
from pathlib import Path
from textwrap import indent
from typing import Any

import pytest
import yaml

from streamqueue.api.parse import parse_spec
from streamqueue.cli.main import run
from tests.unit.crd.schema import SPEC

FOLDER = Path(__file__).parent
CASES = sorted(FOLDER.glob("*.yaml"))


def unknown(value: Any, schema: dict[str, Any], path: str = "spec") -> list[str]:
    """Fields that the CRD doesn't know."""
    known = schema.get("properties")
    if not isinstance(value, dict) or known is None or schema.get("x-kubernetes-preserve-unknown-fields"):
        return []
    strangers = [f"{path}.{name}" for name in value if name not in known]
    return strangers + [
        one for name in value if name in known for one in unknown(value[name], known[name], f"{path}.{name}")
    ]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_a_scaled_object_becomes_a_queue(case: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["import", "keda", "-f", str(case)]) == 0
    printed = capsys.readouterr().out
    body = yaml.safe_load(printed)
    parse_spec(body["spec"])
    assert unknown(body["spec"], SPEC) == []
    assert printed == case.with_suffix(".golden").read_text()


def test_the_deployment_may_come_in_a_file_of_its_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scaled, deployment = (FOLDER / "lag.yaml").read_text().split("---\n")
    (tmp_path / "scaled.yaml").write_text(scaled)
    (tmp_path / "deployment.yaml").write_text(deployment)
    assert run(["import", "keda", "-f", str(tmp_path / "scaled.yaml"), "-f", str(tmp_path / "deployment.yaml")]) == 0
    assert capsys.readouterr().out == (FOLDER / "lag.golden").read_text()


@pytest.mark.parametrize(
    ("case", "old", "new", "says"),
    [
        ("lag", "kind: ScaledObject", "kind: ScaledJob", "a ScaledJob starts a Job for each piece of work"),
        ("lag", "kind: ScaledObject", "kind: Secret", "wants one ScaledObject, has 0"),
        (
            "lag",
            "type: redis-streams",
            "type: redis-cluster-streams",
            "a Redis Cluster isn't imported: write spec.redis by hand",
        ),
        (
            "lag",
            "type: redis-streams",
            "type: redis-sentinel-streams",
            "Redis Sentinel isn't imported: write spec.redis by hand",
        ),
        ("lag", "type: redis-streams", "type: kafka", "no trigger of type redis-streams (has kafka)"),
        ("lag", "consumerGroup: workers", "a: b", "give --group NAME"),
        ("lag", "stream: orders", "a: b", "the trigger names no stream"),
        ("lag", "kind: Deployment", "kind: Other", "give the Deployment 'orders-worker' too"),
        ("lag", "{name: orders-worker}", "{name: orders-worker, kind: StatefulSet}", "it scales a StatefulSet"),
        (
            "pending-password",
            "name: proxy",
            "name: handler",
            "a container 'handler' beside the one that reads: rename it",
        ),
        ("lag", 'lagCount: "10"', 'lagCount: "many"', "lagCount is 'many': it must be a whole number"),
        pytest.param("lag", 'lagCount: "10"', f"lagCount: '{'9' * 5000}'", "must be a whole number", id="many digits"),
        ("lag", 'lagCount: "10"', 'lagCount: "0"', "lagCount is '0': it must be a whole number, 1 or more"),
        ("lag", "{name: orders-worker}\n  polling", "{}\n  polling", "spec.scaleTargetRef has no name"),
        ("lag", "        image: registry", "        a: registry", "container 'worker' has no image"),
        ("lag", "containers:", "a:", "the Deployment has no containers"),
        ("from-env", "envSourceContainerName: app", "envSourceContainerName: other", "no container 'other'"),
        ("lag", "address: redis", "a: redis", "the trigger has no address"),
        ("lag", "stream: orders", "stream: a{}b", "braces in a stream name"),
        ("lag", "maxReplicaCount: 30", "maxReplicaCount: 30\n  minReplicaCount: 40", "minReplicas"),
        ("from-env", "kind: Deployment", "kind: Other", "hostFromEnv: give the Deployment too"),
        (
            "dual",
            "stream: events, consumerGroup: readers, pending",
            "stream: b, consumerGroup: c, pending",
            "several streams, groups or databases",
        ),
        (
            "dual",
            "consumerGroup: readers, pending",
            'consumerGroup: readers, databaseIndex: "1", pending',
            "several streams, groups or databases",
        ),
    ],
)
def test_what_cannot_be_done_is_one_line_and_exit_2(
    case: str, old: str, new: str, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (FOLDER / f"{case}.yaml").read_text()
    assert old in text
    (tmp_path / "scaled.yaml").write_text(text.replace(old, new))
    assert run(["import", "keda", "-f", str(tmp_path / "scaled.yaml")]) == 2
    said = capsys.readouterr()
    assert says in said.err and said.err.count("\n") == 1 and said.out == ""


def test_of_several_deployments_the_one_that_is_scaled_counts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scaled, deployment = (FOLDER / "lag.yaml").read_text().split("---\n")
    other = deployment.replace("orders", "other")
    (tmp_path / "all.yaml").write_text("---\n".join((other, scaled, deployment)))
    assert run(["import", "keda", "-f", str(tmp_path / "all.yaml")]) == 0
    assert capsys.readouterr().out == (FOLDER / "lag.golden").read_text()


def test_a_trigger_without_a_target_has_kedas_default(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = imported("lag", 'lagCount: "10"', "a: b", tmp_path, capsys)
    assert yaml.safe_load(text)["spec"]["scaling"]["targetBacklog"] == 5
    assert "pendingEntriesCount counted tasks in workers' hands alone" in text


def test_a_login_that_is_not_among_the_files_is_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reference = "      authenticationRef: {name: login}\n      metadata:\n        address"
    text = imported("lag", "      metadata:\n        address", reference, tmp_path, capsys)
    assert "url" not in yaml.safe_load(text)["spec"]["redis"]
    assert "the parts are in TriggerAuthentication login)" in text


def test_objects_may_come_in_a_list(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As `kubectl get scaledobject,deployment -o yaml` prints them."""
    found = list(yaml.safe_load_all((FOLDER / "lag.yaml").read_text()))
    (tmp_path / "all.yaml").write_text(yaml.safe_dump({"apiVersion": "v1", "kind": "List", "items": found}))
    assert run(["import", "keda", "-f", str(tmp_path / "all.yaml")]) == 0
    assert capsys.readouterr().out == (FOLDER / "lag.golden").read_text()


def logging_in(folder: Path, source: str, capsys: pytest.CaptureFixture[str]) -> str:
    """What becomes of a ScaledObject whose TriggerAuthentication has this source."""
    scaled = yaml.safe_load((FOLDER / "lag.yaml").read_text().split("---\n")[0])
    scaled["spec"]["triggers"][0]["authenticationRef"] = {"name": "login"}
    login = f"kind: TriggerAuthentication\nmetadata: {{name: login}}\nspec:\n{indent(source, '  ')}\n"
    (folder / "scaled.yaml").write_text(yaml.safe_dump(scaled) + "---\n" + login)
    assert run(["import", "keda", "-f", str(folder / "scaled.yaml"), "--image", "i:1"]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize(
    "source",
    [
        "env: [{parameter: password, name: REDIS_PASSWORD}]",
        "hashiCorpVault: {address: a, secrets: [{parameter: password, path: p, key: k}]}",
        "configMapTargetRef: [{parameter: username, name: n, key: k}]",
    ],
    ids=["env", "vault", "user name"],
)
def test_a_login_is_not_lost_wherever_it_comes_from(
    source: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    printed = logging_in(tmp_path, source, capsys)
    assert "url" not in yaml.safe_load(printed)["spec"]["redis"]
    assert f"the parts are in {source.partition(':')[0]} of TriggerAuthentication login" in printed


def test_tls_may_be_a_parameter_of_the_login(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    printed = logging_in(tmp_path, "secretTargetRef: [{parameter: tls, name: redis, key: tls}]", capsys)
    assert yaml.safe_load(printed)["spec"]["redis"]["url"].startswith("rediss://")


CERTIFICATES = """secretTargetRef:
  - {parameter: password, name: redis, key: password}
  - {parameter: tls, name: redis, key: tls}
  - {parameter: ca, name: redis-tls, key: ca.crt}
  - {parameter: cert, name: redis-tls, key: tls.crt}
  - {parameter: key, name: redis-tls, key: tls.key}
"""


def test_a_private_ca_is_named_and_a_client_certificate_is_said_to_be_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    printed = logging_in(tmp_path, CERTIFICATES, capsys)
    redis = yaml.safe_load(printed)["spec"]["redis"]
    assert redis["tls"] == {"caSecretRef": {"name": "redis-tls", "key": "ca.crt"}}
    assert "the parts are in redis/password)" in printed
    assert "cert and key are left out" in printed


def test_a_ca_that_is_in_no_secret_is_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = "env: [{parameter: ca, name: CA}, {parameter: tls, name: TLS}]"
    printed = logging_in(tmp_path, source, capsys)
    assert "tls" not in yaml.safe_load(printed)["spec"]["redis"]
    assert (
        "put the CA (env of TriggerAuthentication login) into a Secret, and name it in redis.tls.caSecretRef" in printed
    )


@pytest.mark.parametrize(("word", "scheme"), [("1", "rediss"), ("T", "rediss"), ("True", "rediss"), ("0", "redis")])
def test_tls_is_switched_on_by_any_word_of_go(
    word: str, scheme: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    printed = imported("lag", "stream: orders", f'stream: orders\n        enableTLS: "{word}"', tmp_path, capsys)
    assert yaml.safe_load(printed)["spec"]["redis"]["url"].startswith(f"{scheme}://")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (
            "stream: orders",
            'stream: orders\n        unsafeSsl: "true"',
            "unsafeSsl is left out: certificates are verified",
        ),
        ("stream: orders", "stream: orders\n        username: app", "one Secret holds the whole URL"),
        (
            "stream: orders",
            "stream: orders\n        username: app",
            "secret generic orders-worker-redis -n shop --from",
        ),
        ("cooldownPeriod: 120", "cooldownPeriod: 7200", "cooldownPeriod 7200 is cut to 1h"),
        ("a: b", "a: b", "kubectl delete scaledobject/orders-scaler deployment/orders-worker -n shop, then apply"),
    ],
)
def test_what_differs_is_said(
    old: str, new: str, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert says in imported("lag", old, new, tmp_path, capsys)


SCALED = yaml.safe_load((FOLDER / "lag.yaml").read_text().split("---\n")[0])


def notes(folder: Path, change: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> str:
    """The comments for `lag` with each path of `change` set."""
    scaled = copy.deepcopy(SCALED)
    for path, value in change.items():
        parent: Any = scaled
        *parents, last = path.split(".")
        for name in parents:
            parent = parent[int(name)] if isinstance(parent, list) else parent.setdefault(name, {})
        parent[last] = value
    (folder / "scaled.yaml").write_text(yaml.safe_dump(scaled))
    assert run(["import", "keda", "-f", str(folder / "scaled.yaml"), "--image", "i:1"]) == 0
    return "".join(line for line in capsys.readouterr().out.splitlines(True) if line.startswith("#"))


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        ("spec.pollingInterval", 15, "pollingInterval left out: "),
        ("spec.initialCooldownPeriod", 60, "initialCooldownPeriod left out: a new queue without work begins with"),
        ("spec.idleReplicaCount", 0, "idleReplicaCount left out: without work there are minReplicas workers"),
        ("spec.fallback", {"failureThreshold": 3, "replicas": 6, "behavior": "static"}, "fallback left out: "),
        ("spec.advanced.restoreToOriginalReplicaCount", True, "restoreToOriginalReplicaCount left out: the workers of"),
        ("spec.advanced.horizontalPodAutoscalerConfig.name", "hpa", "advanced.horizontalPodAutoscalerConfig.name"),
        (
            "spec.advanced.horizontalPodAutoscalerConfig.behavior",
            {"scaleDown": {}},
            "behavior left out: there is no HPA",
        ),
        ("spec.advanced.scalingModifiers", {"formula": "a"}, "scalingModifiers left out: "),
        ("spec.advanced.new", {"a": 1}, "nothing like it: advanced.new"),
        ("spec.new", 1, "nothing like it: new"),
        ("spec.scaleTargetRef.new", 1, "nothing like it: scaleTargetRef.new"),
        ("spec.triggers.0.metricType", "Value", "metricType left out: Value compared all tasks with the target"),
        ("spec.triggers.0.useCachedMetrics", True, "useCachedMetrics left out: "),
        ("spec.triggers.0.new", 1, "nothing like it: triggers.new"),
        ("spec.triggers.0.metadata.activationLagCount", "3", "activationLagCount left out: the first task wakes"),
        ("spec.triggers.0.metadata.sentinelMaster", "m", "nothing like it: triggers.metadata.sentinelMaster"),
        ("metadata.annotations", {"autoscaling.keda.sh/paused-scale-in": "true"}, "paused-scale-in left out: "),
        ("metadata.annotations", {"autoscaling.keda.sh/paused-scale-out": "true"}, "paused-scale-out left out: "),
        ("metadata.annotations", {"autoscaling.keda.sh/new": "true"}, "nothing like it: autoscaling.keda.sh/new"),
    ],
)
def test_nothing_is_passed_over_in_silence(
    path: str, value: Any, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert says in notes(tmp_path, {path: value}, capsys)


def test_what_is_said_by_default_needs_no_note(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As `kubectl get -o yaml` prints it, or a generator of manifests."""
    trigger, defaults = "spec.triggers.0", {"name": "lag", "metricType": "AverageValue", "useCachedMetrics": False}
    change = {
        **{f"{trigger}.{name}": value for name, value in defaults.items()},
        "spec.advanced": {"restoreToOriginalReplicaCount": False, "scalingModifiers": {}},
        "spec.initialCooldownPeriod": 0,
        "spec.scaleTargetRef": {"name": "orders-worker", "kind": "Deployment", "apiVersion": "apps/v1"},
        "metadata.annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}"},
    }
    assert notes(tmp_path, change, capsys) == notes(tmp_path, {}, capsys)


@pytest.mark.parametrize(("word", "paused"), [("yes", True), ("T", True), ("", True), ("False", False), ("0", False)])
def test_a_pause_is_any_word_that_is_not_false(
    word: str, paused: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As KEDA takes it."""
    scaled = copy.deepcopy(SCALED)
    scaled["metadata"]["annotations"] = {"autoscaling.keda.sh/paused": word}
    (tmp_path / "scaled.yaml").write_text(yaml.safe_dump(scaled))
    assert run(["import", "keda", "-f", str(tmp_path / "scaled.yaml"), "--image", "i:1"]) == 0
    assert yaml.safe_load(capsys.readouterr().out)["spec"]["scaling"].get("paused", False) is paused


def test_of_two_targets_for_one_count_the_smaller_counts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The HPA takes the trigger that asks for more workers."""
    for targets in (("1", "7"), ("7", "1")):
        old, new = 'lagCount: "10"', f'lagCount: "{targets[0]}"'
        text = imported("dual", 'pendingEntriesCount: "1"', f'lagCount: "{targets[1]}"', tmp_path, capsys, {old: new})
        assert yaml.safe_load(text)["spec"]["scaling"]["targetBacklog"] == 1


def imported(
    case: str, old: str, new: str, folder: Path, capsys: pytest.CaptureFixture[str], more: dict[str, str] | None = None
) -> str:
    text = (FOLDER / f"{case}.yaml").read_text()
    for before, after in {old: new, **(more or {})}.items():
        text = text.replace(before, after)
    (folder / "scaled.yaml").write_text(text)
    assert run(["import", "keda", "-f", str(folder / "scaled.yaml")]) == 0
    return capsys.readouterr().out


def test_the_image_and_the_group_may_be_given(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scaled = (FOLDER / "lag.yaml").read_text().split("---\n")[0].replace("consumerGroup: workers", "a: b")
    (tmp_path / "scaled.yaml").write_text(scaled)
    assert run(["import", "keda", "-f", str(tmp_path / "scaled.yaml"), "--image", "i:1", "--group", "g"]) == 0
    spec = yaml.safe_load(capsys.readouterr().out)["spec"]
    assert (spec["handler"]["image"], spec["group"]) == ("i:1", "g")


def test_a_name_that_no_queue_can_have_is_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And with a name of its own it may stand beside the Deployment."""
    long = "orders-worker-of-the-department-for-returns"
    (tmp_path / "scaled.yaml").write_text((FOLDER / "lag.yaml").read_text().replace("orders-worker", long))
    call = ["import", "keda", "-f", str(tmp_path / "scaled.yaml")]
    assert run(call) == 2
    assert "must have at most 40 characters, not 43: give --name NAME" in capsys.readouterr().err
    assert run([*call, "--name", "No"]) == 2
    assert "must be small letters" in capsys.readouterr().err
    assert run([*call, "--name", "returns"]) == 0
    text = capsys.readouterr().out
    assert yaml.safe_load(text)["metadata"]["name"] == "returns"
    assert "paused: true, streamqueue resume returns -n shop, kubectl delete scaledobject/orders-scaler -n shop" in text
    assert f"kubectl scale deployment/{long} --replicas 0 -n shop\n" in text

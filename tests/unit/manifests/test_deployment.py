from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from streamqueue.api.spec import QueueSpec
from streamqueue.manifests import TEMPLATE_VERSION, Fingerprints
from streamqueue.worker.settings import Settings
from tests.unit.manifests.build import SECRET, SECRETS, deployment, environment, handler, spec


def test_a_rollout_adds_before_it_removes() -> None:
    body = deployment()["spec"]

    assert body["replicas"] == 3
    assert body["strategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": "25%"}}


def test_a_rollout_that_was_paused_by_hand_goes_on() -> None:
    assert deployment()["spec"]["paused"] is False


@pytest.mark.parametrize(
    ("timeout", "batch", "grace"), [("2m", 1, 150), ("30s", 4, 150), ("100ms", 1, 31), ("140ms", 50, 37)]
)
def test_the_grace_is_a_full_batch_and_thirty_seconds(timeout: str, batch: int, grace: int) -> None:
    parsed = spec(handler={"image": "x", "timeout": timeout, "batch": batch})

    assert deployment(parsed)["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] == grace


def test_pods_are_born_protected() -> None:
    assert deployment()["spec"]["template"]["metadata"]["annotations"] == {
        "cluster-autoscaler.kubernetes.io/safe-to-evict": "false",
        "karpenter.sh/do-not-disrupt": "true",
    }


def test_the_deployment_says_what_its_template_was_derived_from() -> None:
    assert deployment()["metadata"]["annotations"] == {
        "streamqueue.dev/template-version": TEMPLATE_VERSION,
        "streamqueue.dev/generation": "4",
    }


def test_a_new_generation_alone_rolls_no_pods() -> None:
    assert "4" not in deployment()["spec"]["template"]["metadata"]["annotations"].values()


RESTARTS_NOBODY: list[dict[str, Any]] = [
    {"scaling": {"maxReplicas": 3, "paused": True}},
    {"reclaim": {"schedule": "* * * * *", "suspend": True}},
    {"retention": {"policy": "acknowledged", "maxLength": 9}},
    {"delivery.requeue": "all-groups"},
]
ROLLS: list[dict[str, Any]] = [
    {"handler.image": "another"},
    {"handler.timeout": "1m"},
    {"delivery.visibilityTimeout": "10m"},
    {"delivery.maxDeliveries": 3},
    {"results": {"ttl": "1h"}},
    {"redis.url": "redis://another:6379/0"},
    {"template": {"metadata": {"labels": {"team": "a"}}}},
    {"handler.protocol": "sdk", "next": {"stream": "paid"}},
]


@pytest.mark.parametrize("change", [*RESTARTS_NOBODY, *ROLLS], ids=str)
def test_what_of_a_spec_rolls_the_pods(change: dict[str, Any]) -> None:
    """As docs/operations.md tells."""
    before = spec(**{"handler.protocol": change.get("handler.protocol", "redis")})
    now, then = (deployment(parsed)["spec"]["template"] for parsed in (spec(**change), before))
    assert (now != then) is (change in ROLLS)


ROTATED = replace(SECRETS, whole="another")
MOVED = Fingerprints("another", "elsewhere")


@pytest.mark.parametrize(
    ("protocol", "secrets", "rolls"),
    [
        ("redis", ROTATED, True),
        *[(ours, *case) for ours in ("sdk", "http") for case in ((ROTATED, False), (MOVED, True))],
    ],
)
def test_a_changed_secret_rolls_the_pods_unless_they_read_a_new_login_by_themselves(
    protocol: str, secrets: Fingerprints, rolls: bool
) -> None:
    parsed = spec(**{"handler.protocol": protocol, "redis": SECRET})
    before, after = (deployment(parsed, each)["spec"]["template"] for each in (SECRETS, secrets))

    assert (before != after) is rolls


@pytest.mark.parametrize(("protocol", "container"), [("sdk", "handler"), ("http", "runner")])
def test_our_workers_get_the_url_of_a_secret_as_a_file(protocol: str, container: str) -> None:
    own, results = ({"name": name, "key": f"{name}-url"} for name in ("redis", "results"))
    parsed = spec(
        **{
            "handler.protocol": protocol,
            "redis": {"secretRef": own},
            "next": {"stream": "paid", "redis": {"secretRef": results}},
        }
    )
    pod = deployment(parsed, SECRETS)["spec"]["template"]["spec"]
    (reader,) = pod["containers"]
    variables = environment(reader)

    assert reader["name"] == container
    assert "secretKeyRef" not in json.dumps(pod) and "STREAMQUEUE_REDIS_URL" not in variables
    mounts = {mount["name"]: mount for mount in reader["volumeMounts"]}
    assert all(mount["readOnly"] and "subPath" not in mount for mount in mounts.values())
    found = {}
    for volume in pod["volumes"]:
        ((item,), folder) = volume["secret"]["items"], mounts[volume["name"]]["mountPath"]
        found[f"{folder}/{item['path']}"] = {"name": volume["secret"]["secretName"], "key": item["key"]}
    assert found == {
        variables["STREAMQUEUE_REDIS_URL_FILE"]: own,
        variables["STREAMQUEUE_NEXT_REDIS_URL_FILE"]: results,
    }
    for sidecar in pod.get("initContainers", []):
        assert "volumeMounts" not in sidecar, "the handler's container gets no password"


def test_pods_of_a_lost_node_are_replaced_soon_unless_the_template_says_when() -> None:
    def seconds(*given: Any) -> dict[str, int]:
        parsed = spec(template={"spec": {"tolerations": [*given]}})
        tolerations = deployment(parsed)["spec"]["template"]["spec"]["tolerations"]
        return {each["key"].partition("/")[2] or each["key"]: each.get("tolerationSeconds") for each in tolerations}

    ours = {"not-ready": 30, "unreachable": 30}
    assert seconds() == ours
    assert seconds({"key": "gpu", "operator": "Exists"}) == {**ours, "gpu": None}
    patient = {"key": "node.kubernetes.io/unreachable", "operator": "Exists", "tolerationSeconds": 900}
    assert seconds(patient) == {**ours, "unreachable": 900}


def test_workers_cannot_gain_privileges() -> None:
    template = deployment()["spec"]["template"]

    assert template["spec"]["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    assert handler(template)["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
    }


def test_readiness_never_depends_on_load_or_redis() -> None:
    assert not [field for field in handler(deployment()["spec"]["template"]) if field.endswith("Probe")]


def test_long_times_are_written_in_full() -> None:
    parsed = spec(
        handler={"image": "x", "timeout": "1234.567s", "batch": 200}, delivery={"visibilityTimeout": "500000.5s"}
    )
    variables = environment(handler(deployment(parsed)["spec"]["template"]))

    assert variables["STREAMQUEUE_TIMEOUT"] == "1234.567"
    assert variables["STREAMQUEUE_VISIBILITY_TIMEOUT"] == "500000.5"


def test_a_worker_finds_what_it_needs_in_its_environment() -> None:
    parsed = spec(
        startFrom="$",
        handler={"image": "x", "timeout": "1.5s", "batch": 5, "concurrency": 2},
        delivery={
            "visibilityTimeout": "168h",
            "maxDeliveries": 7,
            "deadLetter": {"maxLength": 9},
            "backoff": {"initial": "250ms", "max": "1m"},
        },
        results={"ttl": "1h"},
    )

    assert environment(handler(deployment(parsed)["spec"]["template"])) == {
        "STREAMQUEUE_REDIS_URL": "redis://redis:6379/0",
        "STREAMQUEUE_STREAM": "orders",
        "STREAMQUEUE_GROUP": "workers",
        "STREAMQUEUE_CONSUMER": {"fieldRef": {"fieldPath": "metadata.name"}},
        "STREAMQUEUE_START_FROM": "$$",
        "STREAMQUEUE_VISIBILITY_TIMEOUT": "604800",
        "STREAMQUEUE_BATCH": "5",
        "STREAMQUEUE_CONCURRENCY": "2",
        "STREAMQUEUE_TIMEOUT": "1.5",
        "STREAMQUEUE_GRACE": "28",
        "STREAMQUEUE_MAX_DELIVERIES": "7",
        "STREAMQUEUE_DEAD_LETTER_MAX_LENGTH": "9",
        "STREAMQUEUE_BACKOFF_INITIAL": "0.25",
        "STREAMQUEUE_BACKOFF_MAX": "60",
        "STREAMQUEUE_RESULTS_TTL": "3600",
    }


def test_the_workers_of_the_sdk_read_every_variable_that_is_set() -> None:
    parsed = spec(**{"handler.protocol": "sdk", "next": {"stream": "paid"}})
    variables = environment(handler(deployment(parsed)["spec"]["template"]))
    settings = Settings.from_environment({**variables, "STREAMQUEUE_CONSUMER": "pod"})

    known = {f"STREAMQUEUE_{each.name.upper()}" for each in fields(Settings)}
    assert variables.keys() - known == {"STREAMQUEUE_BATCH"}, "what plain loops alone read"
    redis = {
        f"STREAMQUEUE_{which}_{name}"
        for which in ("REDIS", "NEXT_REDIS")
        for name in ("MODE", "CA_FILE", "AUTH", "URL_FILE")
    }
    assert known - variables.keys() == redis | {
        "STREAMQUEUE_METRICS_PORT",
        "STREAMQUEUE_NEXT_REDIS_URL",
        "STREAMQUEUE_PROCESSES",
    }, "what is set where it differs from the default"
    assert settings == Settings(
        redis_url="redis://redis:6379/0", stream="orders", consumer="pod", grace=140.0, next_stream="paid"
    )


def test_the_redis_block_reaches_the_workers() -> None:
    ca = {"name": "private-ca", "key": "ca.pem"}
    redis = {**SECRET, "mode": "cluster", "tls": {"caSecretRef": ca}, "auth": "entra"}
    pod = deployment(spec(redis=redis))["spec"]["template"]
    variables = environment(handler(pod))

    assert variables["STREAMQUEUE_REDIS_MODE"] == "cluster"
    assert variables["STREAMQUEUE_REDIS_AUTH"] == "entra"
    (volume,) = pod["spec"]["volumes"]
    (mount,) = handler(pod)["volumeMounts"]
    assert volume["secret"] == {"secretName": "private-ca", "items": [{"key": "ca.pem", "path": "ca.crt"}]}
    assert (mount["name"], variables["STREAMQUEUE_REDIS_CA_FILE"]) == (volume["name"], f"{mount['mountPath']}/ca.crt")
    assert pod["metadata"]["labels"]["azure.workload.identity/use"] == "true"


def test_processes_are_told_to_the_worker() -> None:
    parsed = spec(handler={"image": "x", "protocol": "sdk", "concurrency": 5, "processes": 2})
    variables = environment(handler(deployment(parsed)["spec"]["template"]))
    assert (variables["STREAMQUEUE_PROCESSES"], variables["STREAMQUEUE_CONCURRENCY"]) == ("2", "5")


def test_a_metrics_port_is_named_and_told_to_the_worker() -> None:
    for protocol, place in (("sdk", "handler"), ("http", "runner")):
        parsed = spec(handler={"image": "x", "protocol": protocol, "metricsPort": 9090})
        (container,) = deployment(parsed)["spec"]["template"]["spec"]["containers"]
        assert container["name"] == place
        assert container["ports"] == [{"name": "metrics", "containerPort": 9090, "protocol": "TCP"}]
        assert environment(container)["STREAMQUEUE_METRICS_PORT"] == "9090"


def test_tasks_get_all_of_the_grace_but_what_handing_back_takes() -> None:
    pod = deployment()["spec"]["template"]

    assert pod["spec"]["terminationGracePeriodSeconds"] == 150
    assert environment(handler(pod))["STREAMQUEUE_GRACE"] == "140"


def test_a_url_in_a_secret_is_never_in_the_manifest() -> None:
    parsed = spec(redis={"secretRef": {"name": "redis", "key": "url"}})

    assert environment(handler(deployment(parsed)["spec"]["template"]))["STREAMQUEUE_REDIS_URL"] == {
        "secretKeyRef": {"name": "redis", "key": "url"}
    }


def test_the_kubelet_expands_nothing_in_a_stream_name() -> None:
    variables = environment(handler(deployment(spec(stream="a$(HOME)$$b"))["spec"]["template"]))

    assert variables["STREAMQUEUE_STREAM"] == "a$$(HOME)$$$$b"


SDK = {
    "handler.protocol": "sdk",
    "redis": {**SECRET, "tls": {"caSecretRef": {"name": "ca", "key": "ca.crt"}}},
    "next": {"stream": "paid", "redis": {"secretRef": {"name": "results", "key": "url"}}},
}


@pytest.mark.parametrize(("kind", "parsed"), [("", spec()), ("-sdk", spec(**SDK))], ids=["redis", "sdk"])
def test_a_changed_derivation_has_a_version_of_its_own(kind: str, parsed: QueueSpec) -> None:
    """Without a new TEMPLATE_VERSION, an upgrade of the operator would restart every fleet at once."""
    golden = Path(__file__).with_name(f"template-{TEMPLATE_VERSION}{kind}.json")
    assert golden.exists(), f"write the new template to {golden.name} and remove the old file"

    assert deployment(parsed, SECRETS)["spec"]["template"] == json.loads(golden.read_text()), (
        f"the derived template is not that of version {TEMPLATE_VERSION}: raise TEMPLATE_VERSION"
    )


def test_next_reaches_the_worker_and_is_absent_without_it() -> None:
    plain = environment(handler(deployment()["spec"]["template"]))
    assert "STREAMQUEUE_NEXT_STREAM" not in plain
    parsed = spec(**{"handler.protocol": "sdk", "next": {"stream": "{orders}:paid"}})
    assert environment(handler(deployment(parsed)["spec"]["template"])) == {
        **plain,
        "STREAMQUEUE_NEXT_STREAM": "{orders}:paid",
    }


@pytest.mark.parametrize(("protocol", "container"), [("sdk", "handler"), ("http", "runner")])
def test_another_endpoint_of_next_reaches_the_worker(protocol: str, container: str) -> None:
    secret, ca, theirs = ({"name": name, "key": "k"} for name in ("results", "own-ca", "their-ca"))
    parsed = spec(
        **{
            "handler.protocol": protocol,
            "redis": {"url": "rediss://redis", "tls": {"caSecretRef": ca}},
            "next.stream": "paid",
            "next.redis": {"secretRef": secret, "tls": {"caSecretRef": theirs}, "mode": "cluster", "auth": "entra"},
        }
    )
    pod = deployment(parsed)["spec"]["template"]
    (reader,) = pod["spec"]["containers"]
    variables = environment(reader)

    assert reader["name"] == container
    assert variables["STREAMQUEUE_NEXT_REDIS_MODE"] == "cluster"
    assert variables["STREAMQUEUE_NEXT_REDIS_AUTH"] == "entra"
    assert "STREAMQUEUE_REDIS_MODE" not in variables
    mounts = {mount["name"]: mount["mountPath"] for mount in reader["volumeMounts"]}
    found = {
        volume["secret"]["secretName"]: f"{mounts[volume['name']]}/{volume['secret']['items'][0]['path']}"
        for volume in pod["spec"]["volumes"]
    }
    assert found == {
        "results": variables["STREAMQUEUE_NEXT_REDIS_URL_FILE"],
        "own-ca": variables["STREAMQUEUE_REDIS_CA_FILE"],
        "their-ca": variables["STREAMQUEUE_NEXT_REDIS_CA_FILE"],
    }
    assert pod["metadata"]["labels"]["azure.workload.identity/use"] == "true"
    for sidecar in pod["spec"].get("initContainers", []):
        assert not [name for name in environment(sidecar) if "REDIS" in name], "the runner alone talks to Redis"

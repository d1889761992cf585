from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamqueue.api.cron import check_schedule
from streamqueue.api.parse import parse_spec
from streamqueue.api.spec import QueueSpec
from streamqueue.manifests import Owner, ReclaimPods
from streamqueue.manifests.reclaim import minute_offset
from tests.unit.api.strategies import specs
from tests.unit.manifests import build
from tests.unit.manifests.build import environment, spec


def _pod(body: dict[str, Any]) -> dict[str, Any]:
    pod: dict[str, Any] = body["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    return pod


def _variables(body: dict[str, Any]) -> dict[str, Any]:
    return environment(_pod(body)["containers"][0])


@given(st.uuids().map(str))
def test_the_schedule_is_every_five_minutes_at_the_queues_own_minute(uid: str) -> None:
    schedule = build.cron_job(owner=Owner("orders", "shop", uid, 1))["spec"]["schedule"]

    check_schedule(schedule)
    assert schedule == f"{minute_offset(uid)}-59/5 * * * *"


def test_queues_are_spread_over_the_minutes() -> None:
    counts = [0] * 5
    for number in range(1000):
        counts[minute_offset(f"uid-{number}")] += 1

    assert min(counts) > 150


def test_a_schedule_of_the_users_own_is_taken() -> None:
    assert build.cron_job(spec(reclaim={"schedule": "0 * * * *"}))["spec"]["schedule"] == "0 * * * *"


@pytest.mark.parametrize(("quiet", "switched_off"), [(False, False), (True, False), (False, True), (True, True)])
def test_it_is_suspended_while_nothing_waits_or_by_the_users_wish(quiet: bool, switched_off: bool) -> None:
    body = build.cron_job(spec(reclaim={"suspend": switched_off}), suspended=quiet)

    assert body["spec"]["suspend"] is (quiet or switched_off)


def test_passes_never_overlap_pile_up_or_linger() -> None:
    body = build.cron_job()["spec"]
    job = body["jobTemplate"]["spec"]

    assert body["concurrencyPolicy"] == "Replace", "a run on a node that is lost never ends"
    assert body["startingDeadlineSeconds"] == 10
    assert (body["successfulJobsHistoryLimit"], body["failedJobsHistoryLimit"]) == (1, 1)
    assert (job["activeDeadlineSeconds"], job["backoffLimit"], job["ttlSecondsAfterFinished"]) == (240, 0, 600)
    assert job["template"]["spec"]["restartPolicy"] == "Never"


def test_it_runs_the_operators_image_without_privileges_or_token() -> None:
    pod = _pod(build.cron_job())
    (container,) = pod["containers"]

    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }
    assert (container["image"], container["imagePullPolicy"]) == ("streamqueue/operator:1", "IfNotPresent")
    assert container["command"] == ["python3", "-m", "streamqueue.maintenance"]


@given(specs())
def test_the_pass_reads_the_very_spec(parsed: QueueSpec) -> None:
    body = build.cron_job(parsed)
    text = _variables(body)["STREAMQUEUE_SPEC"].replace("$$", "$")  # as the kubelet hands it over
    read = parse_spec(json.loads(text))

    assert (read.redis, read.stream, read.group, read.start_from) == (
        parsed.redis,
        parsed.stream,
        parsed.group,
        parsed.start_from,
    )
    assert (read.handler, read.delivery, read.reclaim, read.retention) == (
        parsed.handler,
        parsed.delivery,
        parsed.reclaim,
        parsed.retention,
    )


def test_scaling_and_the_template_are_none_of_its_business() -> None:
    """A pinned count must not rewrite the CronJob, and a variable of the workers may be a secret."""
    busy = spec(
        scaling={"replicas": 7},
        template={"spec": {"containers": [{"name": "handler", "env": [{"name": "TOKEN", "value": "hunter2"}]}]}},
    )

    assert build.cron_job(busy) == build.cron_job()


def test_its_image_is_pulled_with_the_secrets_of_the_workers() -> None:
    """With `protocol: http` the runner's image is the same one, from the same registry."""
    secrets = [{"name": "registry"}]

    assert _pod(build.cron_job(spec(template={"spec": {"imagePullSecrets": secrets}})))["imagePullSecrets"] == secrets


def test_it_runs_on_the_nodes_that_the_chart_chose_not_on_those_of_the_workers() -> None:
    """A pass every five minutes would bring a node with a GPU up again."""
    placement = {"nodeSelector": {"pool": "system"}, "tolerations": [{"key": "system", "operator": "Exists"}]}
    queue = spec(template={"spec": {"nodeSelector": {"pool": "gpu"}, "tolerations": [{"key": "gpu"}]}})

    pod = _pod(build.cron_job(queue, pods=ReclaimPods(placement)))
    assert {name: pod[name] for name in placement} == placement
    assert placement.keys().isdisjoint(_pod(build.cron_job(queue)))


def test_its_resources_are_those_of_the_chart_not_those_of_the_workers() -> None:
    resources = {"limits": {"cpu": "500m"}}
    queue = spec(template={"spec": {"containers": [{"name": "handler", "resources": {"limits": {"cpu": "8"}}}]}})

    (container,) = _pod(build.cron_job(queue, pods=ReclaimPods(resources=resources)))["containers"]
    assert container["resources"] == resources


def test_a_url_in_a_secret_is_never_in_the_manifest() -> None:
    body = build.cron_job(spec(redis={"secretRef": {"name": "redis", "key": "url"}}))

    assert _variables(body)["STREAMQUEUE_REDIS_URL"] == {"secretKeyRef": {"name": "redis", "key": "url"}}


def test_the_pass_reaches_another_endpoint_of_next_too() -> None:
    secret = {"name": "results", "key": "url"}
    ca = {"name": "their-ca", "key": "ca.pem"}
    body = build.cron_job(
        spec(
            **{
                "handler.protocol": "sdk",
                "next": {"stream": "paid", "redis": {"secretRef": secret, "tls": {"caSecretRef": ca}}},
            }
        )
    )
    variables = _variables(body)
    (volume,) = _pod(body)["volumes"]
    (mount,) = _pod(body)["containers"][0]["volumeMounts"]
    assert variables["STREAMQUEUE_NEXT_REDIS_URL"] == {"secretKeyRef": secret}
    assert variables["STREAMQUEUE_NEXT_REDIS_CA_FILE"] == f"{mount['mountPath']}/ca.crt"
    assert (volume["secret"]["secretName"], volume["name"]) == ("their-ca", mount["name"])
    read = parse_spec(json.loads(variables["STREAMQUEUE_SPEC"]))
    assert read.next_redis and read.next_redis.ca_secret_ref

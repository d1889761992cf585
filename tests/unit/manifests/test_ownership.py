"""All objects are found by their labels and go with their queue."""

from __future__ import annotations

from typing import Any

import pytest

from streamqueue import manifests
from streamqueue.api.parse import NAME_MAX_LENGTH
from streamqueue.manifests import Owner, labels
from tests.unit.manifests.build import OWNER, cron_job, deployment

_OBJECTS = [deployment(), cron_job(), manifests.service_account(OWNER), manifests.disruption_budget(OWNER)]


@pytest.mark.parametrize("body", _OBJECTS, ids=lambda body: body["kind"])
def test_objects_carry_the_queue_and_the_manager(body: dict[str, Any]) -> None:
    metadata = body["metadata"]

    assert metadata["namespace"] == "shop"
    assert metadata["labels"] == {"streamqueue.dev/queue": "orders", "app.kubernetes.io/managed-by": "streamqueue"}


@pytest.mark.parametrize("body", _OBJECTS, ids=lambda body: body["kind"])
def test_objects_belong_to_the_queue_without_holding_up_its_deletion(body: dict[str, Any]) -> None:
    (reference,) = body["metadata"]["ownerReferences"]

    assert reference == {
        "apiVersion": "streamqueue.dev/v1alpha1",
        "kind": "StreamQueue",
        "name": "orders",
        "uid": OWNER.uid,
        "controller": True,
        "blockOwnerDeletion": False,
    }


def test_objects_are_named_after_the_queue() -> None:
    assert [body["metadata"]["name"] for body in _OBJECTS] == ["orders", "orders-reclaim", "orders", "orders"]


def test_the_longest_name_leaves_room_for_that_of_the_cron_job() -> None:
    longest = Owner("q" * NAME_MAX_LENGTH, "shop", "u", 1)

    assert len(manifests.cron_job_name(longest)) <= 52


def test_workers_and_reclaim_are_told_apart() -> None:
    worker = deployment()["spec"]["template"]["metadata"]["labels"]
    reclaim = cron_job()["spec"]["jobTemplate"]["spec"]["template"]["metadata"]["labels"]

    assert worker["app.kubernetes.io/component"] == "worker"
    assert reclaim["app.kubernetes.io/component"] == "reclaim"
    assert worker["streamqueue.dev/queue"] == reclaim["streamqueue.dev/queue"] == "orders"
    assert worker["app.kubernetes.io/managed-by"] == reclaim["app.kubernetes.io/managed-by"] == "streamqueue"


def test_the_selector_is_the_one_of_all_versions() -> None:
    """A Deployment's selector is immutable: changing this breaks every queue that exists."""
    expected = {"streamqueue.dev/queue": "orders", "app.kubernetes.io/component": "worker"}

    assert deployment()["spec"]["selector"] == {"matchLabels": expected}
    assert labels.selector(OWNER) == "streamqueue.dev/queue=orders,app.kubernetes.io/component=worker"
    assert expected.items() <= deployment()["spec"]["template"]["metadata"]["labels"].items()


def test_a_drain_takes_half_the_workers_at_most_and_never_waits_for_broken_ones() -> None:
    budget = manifests.disruption_budget(OWNER)["spec"]

    assert budget["maxUnavailable"] == "50%"
    assert budget["unhealthyPodEvictionPolicy"] == "AlwaysAllow"
    assert budget["selector"] == deployment()["spec"]["selector"]


def test_workers_get_no_token() -> None:
    assert manifests.service_account(OWNER)["automountServiceAccountToken"] is False
    assert deployment()["spec"]["template"]["spec"]["automountServiceAccountToken"] is False
    assert deployment()["spec"]["template"]["spec"]["serviceAccountName"] == "orders"

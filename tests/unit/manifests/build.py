"""A queue and its objects, for tests."""

from __future__ import annotations

from typing import Any

from streamqueue import manifests
from streamqueue.api.parse import parse_spec
from streamqueue.api.spec import QueueSpec
from streamqueue.manifests import Fingerprints, OperatorImage, Owner, ReclaimPods
from tests.unit.crd.cases import manifest

OWNER = Owner(name="orders", namespace="shop", uid="7e4f0c1e-0000-4000-8000-000000000001", generation=4)

IMAGE = OperatorImage("streamqueue/operator:1", "IfNotPresent")
RECLAIM_PODS = ReclaimPods()
SECRETS = Fingerprints(whole="aaa", place="bbb")
SECRET = {"secretRef": {"name": "redis", "key": "url"}}


def spec(**change: Any) -> QueueSpec:
    return parse_spec(manifest({f"spec.{path}": value for path, value in change.items()})["spec"])


def deployment(
    parsed: QueueSpec | None = None, secrets: Fingerprints | None = None, runner: OperatorImage = IMAGE
) -> dict[str, Any]:
    return manifests.deployment(OWNER, parsed or spec(), replicas=3, secrets=secrets, runner=runner)


def cron_job(
    parsed: QueueSpec | None = None,
    *,
    owner: Owner = OWNER,
    pods: ReclaimPods = RECLAIM_PODS,
    suspended: bool = False,
) -> dict[str, Any]:
    return manifests.cron_job(owner, parsed or spec(), image=IMAGE, pods=pods, suspended=suspended)


def overlaid(overlay: dict[str, Any]) -> dict[str, Any]:
    """The Deployment's pod template with `overlay` laid over it."""
    template: dict[str, Any] = deployment(spec(template=overlay))["spec"]["template"]
    return template


def handler(template: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = template["spec"]["containers"][0]
    assert found["name"] == "handler"
    return found


def environment(container: dict[str, Any]) -> dict[str, Any]:
    return {each["name"]: each.get("value", each.get("valueFrom")) for each in container["env"]}

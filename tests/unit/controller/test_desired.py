"""The reclaim CronJob rests only while nothing is known to wait or pend; not reading a Secret rolls no pods."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from streamqueue.api.spec import Handler, Next, Protocol, QueueSpec, Reclaim, Redis, SecretKey
from streamqueue.controller.cluster.store import Holdings
from streamqueue.controller.desired import desired
from streamqueue.controller.kinds import CRON_JOBS, DEPLOYMENTS, Kind
from streamqueue.controller.settings import Settings
from streamqueue.manifests import Fingerprints, ReclaimPods
from streamqueue.scaling import Decision, Reason
from streamqueue.streams import Snapshot
from tests.unit.controller.bodies import SETTINGS, queue

SPEC = QueueSpec(Redis(secret_ref=SecretKey("redis", "url")), "orders", "workers", Handler("image"))

KNOWN = Fingerprints("hash", "place")


def owns(
    held: Holdings,
    snapshot: Snapshot | None = None,
    secrets: Fingerprints | None = KNOWN,
    replicas: int = 0,
    spec: QueueSpec = SPEC,
    settings: Settings = SETTINGS,
) -> dict[Kind, Any]:
    decision = Decision(replicas, Reason.STEADY, "")
    return dict(desired(held, spec, decision, snapshot, secrets, settings, refused=False))


def snapshot(**counters: int) -> Snapshot:
    return Snapshot(time=0.0, stream_exists=True, group_exists=True, **counters)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("counters", "replicas", "rests"),
    [
        ({}, 0, True),
        ({"undelivered": 1}, 0, False),
        ({"pending": 1}, 0, False),
        ({"outboxed": 1}, 0, False),
        ({}, 1, False),
        ({"next_due": 600}, 0, False),
    ],
)
def test_the_cronjob_rests_while_nothing_waits_or_pends(counters: dict[str, int], replicas: int, rests: bool) -> None:
    found = owns(Holdings(queue=queue()), snapshot(**counters), replicas=replicas)
    assert found[CRON_JOBS]["spec"]["suspend"] is rests


@pytest.mark.parametrize("rests", [True, False])
def test_on_unknown_the_cronjob_stays_as_it_is(rests: bool) -> None:
    held = Holdings(queue=queue(), owned={CRON_JOBS: {"spec": {"suspend": rests}}})
    assert owns(held)[CRON_JOBS]["spec"]["suspend"] is rests


def test_on_unknown_a_new_cronjob_runs() -> None:
    assert owns(Holdings(queue=queue()))[CRON_JOBS]["spec"]["suspend"] is False


def test_people_can_suspend_it() -> None:
    spec = QueueSpec(SPEC.redis, "orders", "workers", SPEC.handler, reclaim=Reclaim(suspend=True))
    assert owns(Holdings(queue=queue()), snapshot(pending=1), spec=spec)[CRON_JOBS]["spec"]["suspend"] is True


def test_it_runs_where_the_operators_settings_say() -> None:
    settings = replace(SETTINGS, reclaim=ReclaimPods({"nodeSelector": {"pool": "system"}}))
    cron = owns(Holdings(queue=queue()), settings=settings)[CRON_JOBS]
    assert cron["spec"]["jobTemplate"]["spec"]["template"]["spec"]["nodeSelector"] == {"pool": "system"}


TRUSTED = replace(SPEC, redis=Redis(url="rediss://redis", ca_secret_ref=SecretKey("ca", "ca.crt")))
BEYOND = replace(
    SPEC,
    redis=Redis(url="redis://redis"),
    handler=Handler("image", Protocol.SDK),
    next=Next("paid", Redis(secret_ref=SecretKey("results", "url"))),
)


@pytest.mark.parametrize("spec", [SPEC, TRUSTED, BEYOND], ids=["url", "CA", "next"])
def test_a_secret_that_cant_be_read_rolls_no_pods(spec: QueueSpec) -> None:
    live = owns(Holdings(queue=queue()), spec=spec)[DEPLOYMENTS]
    annotations = live["spec"]["template"]["metadata"]["annotations"]
    assert {"hash", "place"} & set(annotations.values())
    held = Holdings(queue=queue(), owned={DEPLOYMENTS: live})
    assert owns(held, secrets=None, spec=spec)[DEPLOYMENTS]["spec"]["template"] == live["spec"]["template"]
    changed = owns(held, secrets=Fingerprints("other", "other"), spec=spec)[DEPLOYMENTS]
    assert "other" in changed["spec"]["template"]["metadata"]["annotations"].values()

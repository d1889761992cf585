"""What a queue should own now. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from streamqueue import manifests
from streamqueue.api.spec import QueueSpec
from streamqueue.controller.cluster.store import Holdings
from streamqueue.controller.kinds import CRON_JOBS, DEPLOYMENTS, DISRUPTION_BUDGETS, SERVICE_ACCOUNTS, Body, Kind
from streamqueue.controller.settings import Settings
from streamqueue.controller.status.report import owner_of
from streamqueue.scaling import Decision
from streamqueue.streams.snapshot import Snapshot


def desired(
    held: Holdings,
    spec: QueueSpec,
    decision: Decision,
    snapshot: Snapshot | None,
    secrets: manifests.Fingerprints | None,
    settings: Settings,
    *,
    refused: bool,
    edited: bool = False,
) -> Iterator[tuple[Kind, Body]]:
    """The full objects, in the order of writing.

    `secrets` tells pods of changed Redis Secrets, None where one can't be read; `refused`: the API server has refused
    what this generation asks for; `edited`: the live template isn't the one that we left.
    """
    owner = owner_of(held.body)
    suspended = _suspended(held, decision, snapshot)
    image = manifests.OperatorImage(settings.image, settings.image_pull_policy)
    yield SERVICE_ACCOUNTS, manifests.service_account(owner)
    yield DISRUPTION_BUDGETS, manifests.disruption_budget(owner)
    yield CRON_JOBS, manifests.cron_job(owner, spec, image=image, pods=settings.reclaim, suspended=suspended)
    live = held.owned.get(DEPLOYMENTS)
    if refused and live is None:
        return
    if secrets is None and live and any(each.secret_ref or each.ca_secret_ref for each in spec.endpoints):
        secrets = manifests.live_fingerprints(live)  # not being able to read it rolls no pods
    deployment = manifests.deployment(owner, spec, replicas=decision.replicas, secrets=secrets, runner=image)
    if live:
        deployment = manifests.settle_template(deployment, live, refused=refused, secrets=secrets, edited=edited)
    yield DEPLOYMENTS, deployment


def _suspended(held: Holdings, decision: Decision, snapshot: Snapshot | None) -> bool:
    """The reclaim CronJob rests while nothing is known to wait, to pend or to be due later.

    On unknown it stays as it is. Without the operator it is what lets delayed tasks in.
    """
    if snapshot is None:
        live = held.owned.get(CRON_JOBS)
        return bool(live and live["spec"].get("suspend"))
    return not (
        snapshot.undelivered
        or snapshot.pending
        or snapshot.outboxed
        or decision.replicas
        or snapshot.next_due is not None
    )

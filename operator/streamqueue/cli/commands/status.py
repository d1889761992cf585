"""Queues as `kubectl get sq` shows them; one queue with its conditions in sentences."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

import click

from streamqueue.api.conditions import is_well
from streamqueue.api.timestamps import epoch
from streamqueue.cli.cluster import no_queues, open_cluster
from streamqueue.cli.errors import BadInput
from streamqueue.cli.options import Selection, only_queue, output_option, queue_argument, queue_options
from streamqueue.cli.output import Column, age, paint, printable, show, show_one
from streamqueue.cli.target import open_target
from streamqueue.controller.kinds import Body

COLUMNS = (
    Column("NAME", lambda row: row["name"]),
    Column("READY", lambda row: row["ready"]),
    Column("LAG", lambda row: lag(row)),
    Column("PENDING", lambda row: row["pending"]),
    Column("OLDEST", lambda row: age(row["oldestWaitingSeconds"])),
    Column("DLQ", lambda row: row["deadLetters"]),
    Column("REPLICAS", lambda row: row["replicas"]),
    Column("REASON", lambda row: row["reason"]),
    Column("AGE", lambda row: age(row["ageSeconds"])),
    Column("STREAM", lambda row: row["stream"], wide=True),
    Column("GROUP", lambda row: row["group"], wide=True),
    Column("RETRYING", lambda row: row["retrying"], wide=True),
    Column("MESSAGE", lambda row: row["message"], wide=True),
)
_NAMESPACE = Column("NAMESPACE", lambda row: row["namespace"])


@click.command(short_help="How the queues are; one of them with its conditions.")
@queue_argument()
@click.option("-A", "--all-namespaces", is_flag=True, help="The queues of all namespaces.")
@queue_options
@output_option
def status(selection: Selection, words: tuple[str, ...], all_namespaces: bool, output: str) -> None:
    """How the queues are; with QUEUE, one of them with its conditions."""
    if not words and not selection.straight:
        asyncio.run(_many(selection, all_namespaces, output))
    elif all_namespaces:
        raise BadInput("--all-namespaces and one queue exclude each other")
    else:
        chosen = only_queue(selection, words)
        asyncio.run(_straight(chosen, output) if chosen.straight else _one(chosen, output))


def summary(body: Body, now: float) -> dict[str, Any]:
    """One row; what the operator doesn't know is None."""
    shown, metadata = body.get("status", {}), body["metadata"]
    oldest = shown.get("oldestWaitingTime")
    ready = next((each["status"] for each in shown.get("conditions", []) if each["type"] == "Ready"), None)
    return {
        "name": metadata["name"],
        "namespace": metadata["namespace"],
        "ready": ready,
        "lag": shown.get("lag"),
        "lagKnown": shown.get("lagKnown"),
        "pending": shown.get("pending"),
        "retrying": shown.get("retrying"),
        "oldestWaitingSeconds": max(0.0, now - epoch(oldest)) if oldest else None,
        "deadLetters": shown.get("deadLetters"),
        "replicas": shown.get("replicasSummary"),
        "reason": shown.get("reason"),
        "message": shown.get("message"),
        "ageSeconds": now - epoch(metadata["creationTimestamp"]),
        "stream": body["spec"].get("stream"),
        "group": body["spec"].get("group"),
    }


def lag(row: Mapping[str, Any]) -> object:
    """Of a row for people: a lower bound is said to be one."""
    return row["lag"] if row["lagKnown"] is not False else f">={row['lag']}"


def conditions(body: Body) -> list[dict[str, Any]]:
    """The conditions, those that need somebody first."""
    fields = ("type", "status", "reason", "message", "lastTransitionTime")
    found = [{field: each.get(field) for field in fields} for each in body.get("status", {}).get("conditions", [])]
    return sorted(found, key=is_well)


async def _many(selection: Selection, everywhere: bool, output: str) -> None:
    async with open_cluster(selection) as cluster:
        rows = [summary(body, time.time()) for body in await cluster.queues(everywhere)]
        namespace = cluster.namespace
    nothing = no_queues(None if everywhere else namespace)
    show(rows, (_NAMESPACE, *COLUMNS) if everywhere else COLUMNS, output, "name", nothing)


async def _one(selection: Selection, output: str) -> None:
    async with open_cluster(selection) as cluster:
        body = await cluster.queue(selection.queue)
    row, now = summary(body, time.time()), time.time()
    known = conditions(body)
    show_one(row | {"conditions": known}, COLUMNS, output, "name")
    if output in ("json", "yaml", "name"):
        return
    click.echo()
    if row["message"]:
        click.echo(f"{row['reason']}: {printable(row['message'])}")
    for each in known:
        mark = paint("ok", "green") if is_well(each) else paint("!!", "red")
        since = age(now - epoch(each["lastTransitionTime"]))
        click.echo(
            f"{mark} {each['type']}={each['status']} for {since}, {each['reason']}: {printable(each['message'])}"
        )
    if not known:
        click.echo("The operator hasn't reported on this queue yet: is it running?")


async def _straight(selection: Selection, output: str) -> None:
    async with open_target(selection) as target:
        found = await target.snapshot()
    row = {
        "name": selection.label,
        "lag": found.undelivered,
        "lagKnown": found.lag_known,
        "pending": found.pending,
        "parked": found.parked,
        "due": found.due,
        "oldestWaitingSeconds": found.oldest_waiting_age,
        "oldestPendingSeconds": found.oldest_pending_age,
        "deadLetters": found.dead_letters,
        "consumers": found.consumers_total,
        "length": found.length,
        "groups": found.groups,
    }
    show_one(row, _STRAIGHT, output, "name")


_STRAIGHT = (
    *(column for column in COLUMNS if column.title in ("NAME", "LAG", "PENDING", "OLDEST", "DLQ")),
    Column("CONSUMERS", lambda row: row["consumers"]),
    Column("LENGTH", lambda row: row["length"]),
    Column("GROUPS", lambda row: row["groups"]),
    Column("PARKED", lambda row: row["parked"]),  # retries whose time has not come
    Column("DUE", lambda row: row["due"]),  # retries and delayed tasks whose time has
)

"""pause, resume, scale: one field of the spec each."""

from __future__ import annotations

import asyncio
from typing import Any

import click

from streamqueue.cli.cluster import open_cluster
from streamqueue.cli.completing import queue_names
from streamqueue.cli.errors import BadInput
from streamqueue.cli.options import Selection, a_queue, cluster_options, dry_run_option
from streamqueue.controller.kinds import STREAM_QUEUES


@click.command()
@click.argument("queue", shell_complete=queue_names)
@cluster_options
@dry_run_option
def pause(selection: Selection, queue: str, dry_run: bool) -> None:
    """Leave the number of QUEUE's workers as it is, until `resume`."""
    asyncio.run(_patch(selection, queue, {"paused": True}, "paused", dry_run))


@click.command()
@click.argument("queue", shell_complete=queue_names)
@cluster_options
@dry_run_option
def resume(selection: Selection, queue: str, dry_run: bool) -> None:
    """Let the number of QUEUE's workers follow its work again."""
    asyncio.run(_patch(selection, queue, {"paused": None}, "resumed", dry_run))


@click.command()
@click.argument("queue", shell_complete=queue_names)
@click.argument("replicas", metavar="N|auto")
@cluster_options
@dry_run_option
def scale(selection: Selection, queue: str, replicas: str, dry_run: bool) -> None:
    """Pin QUEUE at N workers, or let it follow its work: `auto`."""
    if replicas != "auto" and not (len(replicas) < 10 and replicas.isascii() and replicas.isdecimal()):
        raise BadInput(f"{replicas!r} is neither a number of workers nor auto")
    count = None if replicas == "auto" else int(replicas)
    done = "scaled by its work" if count is None else f"pinned at {count}"
    asyncio.run(_patch(selection, queue, {"replicas": count}, done, dry_run))


async def _patch(selection: Selection, queue: str, scaling: dict[str, Any], done: str, dry_run: bool) -> None:
    a_queue(queue)
    async with open_cluster(selection) as cluster:
        await cluster.queue(queue)  # names the near ones where there is none
        body = {"spec": {"scaling": scaling}}
        await cluster.kube.patch(STREAM_QUEUES, cluster.namespace, queue, body, dry_run=dry_run)
    click.echo(f"streamqueue/{queue} {done}{' (dry run)' if dry_run else ''}")

"""The reclaim pass, now."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import click

from streamqueue.api.durations import format_duration
from streamqueue.api.spec import QueueSpec
from streamqueue.cli.errors import BadInput
from streamqueue.cli.options import SECONDS, Selection, dry_run_option, only_queue, queue_argument, queue_options
from streamqueue.cli.target import Target, open_target
from streamqueue.maintenance import sweep
from streamqueue.streams.pending_entries import pending_entries


@click.command(short_help="Return tasks past their visibility timeout: one pass, now.")
@queue_argument()
@click.option("--visibility-timeout", type=SECONDS, help="Straight on Redis: instead of 5m.")
@click.option("--max-deliveries", type=click.IntRange(1, 1000), help="Straight on Redis: instead of 5.")
@queue_options
@dry_run_option
def reclaim(
    selection: Selection,
    words: tuple[str, ...],
    visibility_timeout: float | None,
    max_deliveries: int | None,
    dry_run: bool,
) -> None:
    """Return QUEUE's tasks that are past their visibility timeout, trim, and delete idle consumers: one pass, now."""
    chosen = only_queue(selection, words)
    if (visibility_timeout is not None or max_deliveries) and not chosen.straight:
        raise BadInput("--visibility-timeout and --max-deliveries are the queue's own: change its spec.delivery")
    click.echo(asyncio.run(_reclaim(chosen, visibility_timeout, max_deliveries, dry_run)))


async def _reclaim(selection: Selection, visibility: float | None, most: int | None, dry_run: bool) -> str:
    async with open_target(selection) as target:
        spec = _with(target.spec, visibility, most)
        await target.snapshot()  # names what is missing
        return await _overdue(target, spec) if dry_run else (await sweep(target.client, spec)).summary()


def _with(spec: QueueSpec, visibility: float | None, most: int | None) -> QueueSpec:
    delivery = spec.delivery
    if visibility is None:
        visibility = delivery.visibility_timeout
    return replace(
        spec, delivery=replace(delivery, visibility_timeout=visibility, max_deliveries=most or delivery.max_deliveries)
    )


async def _overdue(target: Target, spec: QueueSpec) -> str:
    visibility = spec.delivery.visibility_timeout
    pages = pending_entries(target.client, spec.stream, spec.group, min_idle=int(visibility * 1000))
    count = sum([len(page) async for page in pages])
    return f"{count} task(s) are past the visibility timeout of {format_duration(visibility)} (dry run)"

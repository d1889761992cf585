"""Where a task is, what a queue is doing, or why it had so many workers, in sentences."""

from __future__ import annotations

import asyncio
import time
from dataclasses import asdict
from typing import Any

import click

from streamqueue.cli.cluster import open_cluster
from streamqueue.cli.decisions import tell as decided
from streamqueue.cli.decisions.fetch import fetch
from streamqueue.cli.errors import BadInput, Failure
from streamqueue.cli.following.gather import gather
from streamqueue.cli.following.tell import Story, tell, tell_queue
from streamqueue.cli.moments import parse_clock
from streamqueue.cli.options import Selection, a_task, output_option, queue_argument, queue_options
from streamqueue.cli.output import document, printable
from streamqueue.cli.target import open_target


@click.command(short_help="Where the task ID is; or what QUEUE is doing, and why.")
@queue_argument("[QUEUE] [ID]")
@click.option(
    "--at",
    metavar="TIME",
    help="Why QUEUE had as many workers as it had at this time: 03:12, or 20m for 20 minutes ago.",
)
@click.option("--since", metavar="TIME", help="What was decided for QUEUE since this time, a line for each change.")
@queue_options
@output_option
def explain(selection: Selection, words: tuple[str, ...], at: str | None, since: str | None, output: str) -> None:
    """Where the task with this entry or task ID is; without ID, what QUEUE is doing, or why it scaled."""
    chosen, rest = selection.take_queue(words)
    if len(rest) > 1:
        raise BadInput(f"{rest[1]!r} is one word too many: one task at a time")
    if at is not None or since is not None:
        if rest or (at is not None and since is not None):
            raise BadInput("give one of --at, --since and ID")
        if chosen.straight:
            raise BadInput("--at and --since ask the operator: name the queue instead of --stream and --group")
        _explain_scaling(chosen, at, since, output)
        return
    story = asyncio.run(_story(chosen, a_task(rest[0]) if rest else None))
    if output in ("json", "yaml"):
        document(asdict(story), output)
    elif output == "name":
        click.echo(story.state)
    else:
        for sentence in story.sentences:
            click.echo(printable(sentence))
        if story.next:
            click.echo(f"next: {printable(story.next)}")


async def _story(selection: Selection, wanted: str | None) -> Story:
    async with open_target(selection) as target:
        if wanted is None:
            return tell_queue(await target.snapshot(), target.spec, selection.again)
        return tell(await gather(target, wanted), target.spec, selection.again, chosen=not selection.straight)


def _explain_scaling(selection: Selection, at: str | None, since: str | None, output: str) -> None:
    now = time.time()
    moment = parse_clock(since or "" if at is None else at, now, "--since" if at is None else "--at")
    found = asyncio.run(_decisions(selection))
    entries = found["entries"]
    if at:
        held = decided.held_at(entries, moment)
        if held is None:
            raise Failure(f"nothing is known of {decided.clock(moment)}. {decided.beginning(found['leadingSince'])}")
        entries = [held]
    else:
        entries = decided.since(entries, moment)
    if output in ("json", "yaml"):
        document(found | {"entries": entries}, output)
    elif output == "name":
        click.echo("\n".join(entry["reason"] for entry in entries))
    else:
        lines = [decided.answer(entries[0], moment)] if at else [decided.line(entry) for entry in entries]
        if not at and (not entries or moment < entries[0]["at"]):
            lines.insert(0, decided.beginning(found["leadingSince"]))
        click.echo("\n".join(map(printable, lines)))


async def _decisions(selection: Selection) -> dict[str, Any]:
    async with open_cluster(selection) as cluster:
        await cluster.queue(selection.queue)
        return await fetch(cluster, selection.queue)

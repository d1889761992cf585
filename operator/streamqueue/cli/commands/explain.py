"""Where a task is, or what a queue is doing, in sentences."""

from __future__ import annotations

import asyncio
from dataclasses import asdict

import click

from streamqueue.cli.errors import BadInput
from streamqueue.cli.options import Selection, output_option, queue_options
from streamqueue.cli.output import document, printable
from streamqueue.cli.target import open_target
from streamqueue.cli.tracing.gather import gather
from streamqueue.cli.tracing.tell import Story, tell, tell_queue


@click.command()
@click.argument("words", nargs=-1, metavar="[QUEUE] [ID]")
@queue_options
@output_option
def explain(selection: Selection, words: tuple[str, ...], output: str) -> None:
    """Where the task with this entry or task ID is; without ID, what QUEUE is doing."""
    chosen, rest = selection.take_queue(words)
    if len(rest) > 1:
        raise BadInput(f"{rest[1]!r} is one word too many: one task at a time")
    story = asyncio.run(_story(chosen, rest[0] if rest else None))
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
        return tell(await gather(target, wanted), target.spec, selection.again)

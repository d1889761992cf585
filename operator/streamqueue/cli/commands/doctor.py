"""What is wrong with a queue, and what to do next."""

from __future__ import annotations

import asyncio
from dataclasses import asdict, replace

import click

from streamqueue.cli.cluster import no_queues, open_cluster
from streamqueue.cli.doctor.checks import CHECKS, diagnose
from streamqueue.cli.doctor.facts import Facts
from streamqueue.cli.doctor.finding import Finding
from streamqueue.cli.doctor.gather import gather
from streamqueue.cli.options import Selection, only_queue, output_option, queue_argument, queue_options
from streamqueue.cli.output import document, paint, printable

AT_ONCE = 8  # queues, each with a connection and perhaps a port-forward of its own

Diagnosis = tuple[Selection, Facts, list[Finding]]


@click.command(short_help="What is wrong with QUEUE, or with each, and the next command.")
@queue_argument()
@queue_options
@output_option
@click.pass_context
def doctor(context: click.Context, selection: Selection, words: tuple[str, ...], output: str) -> None:
    """What is wrong with QUEUE, or with each queue of the namespace, and the next command. Exit code 1: a problem."""
    chosen = only_queue(selection, words) if words or selection.straight else None
    diagnoses, namespace = asyncio.run(_diagnoses(selection, chosen))
    if output in ("json", "yaml"):
        document(
            [
                {"queue": queue.label, "findings": [asdict(each) for each in findings], "notRead": list(_unread(facts))}
                for queue, facts, findings in diagnoses
            ],
            output,
        )
    else:
        for queue, facts, findings in diagnoses:
            _print(queue, facts, findings, output)
        if not diagnoses and output != "name":
            click.echo(no_queues(namespace), err=True)
    context.exit(any(not each.warning for _, _, findings in diagnoses for each in findings))


async def _all(selection: Selection) -> tuple[list[Selection], str]:
    """The queues of the namespace, and its name."""
    async with open_cluster(selection) as cluster:
        queues = [replace(selection, queue=body["metadata"]["name"]) for body in await cluster.queues()]
        return queues, cluster.namespace


async def _diagnoses(selection: Selection, chosen: Selection | None) -> tuple[list[Diagnosis], str]:
    queues, namespace = ([chosen], "") if chosen else await _all(selection)
    places = asyncio.Semaphore(AT_ONCE)

    async def one(queue: Selection) -> Diagnosis:
        async with places:
            facts = await gather(queue)
            return queue, facts, diagnose(facts)

    return await asyncio.gather(*map(one, queues)), namespace


def _print(queue: Selection, facts: Facts, findings: list[Finding], output: str) -> None:
    if output == "name":
        for each in findings:
            click.echo(each.check)
        return
    for each in findings:
        mark = paint("warning", "yellow") if each.warning else paint("problem", "red")
        click.echo(f"{queue.label}: {mark} {each.check}: {printable(each.cause)}")
        click.echo(f"  next: {printable(each.next)}")
    if not findings:
        click.echo(f"{queue.label}: {paint('ok', 'green')}: {len(CHECKS)} checks found nothing")
    for what in _unread(facts):
        click.echo(f"{queue.label}: not looked at: {what}")


def _unread(facts: Facts) -> tuple[str, ...]:
    kinds = tuple(f"{kind}, which you may not read" for kind in facts.cluster.unread) if facts.cluster else ()
    unseen = () if facts.stream else ("the stream",)
    return (*kinds, *unseen)

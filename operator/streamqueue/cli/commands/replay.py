"""Entries of a stream again."""

from __future__ import annotations

import asyncio

import click

from streamqueue.cli.copying import goal_of, into_option, reaches_others
from streamqueue.cli.errors import BadInput, Failure
from streamqueue.cli.moments import is_entry_id, parse_moment
from streamqueue.cli.options import Selection, dry_run_option, only_queue, queue_argument, queue_options, rate_option
from streamqueue.cli.output import counted
from streamqueue.cli.progress import Pace, progress
from streamqueue.cli.target import Target, open_target
from streamqueue.maintenance import WouldReachOthers
from streamqueue.maintenance import replay as copies
from streamqueue.streams.entries import header_pages, read_entries
from streamqueue.streams.entry_ids import successor
from streamqueue.streams.errors import RedisProblem

_NAMED = 5  # entries that were left out


@click.command(short_help="Copy entries of QUEUE's stream as new tasks.")
@queue_argument()
@click.option("--id", "ids", multiple=True, metavar="ID", help="This entry; may be repeated.")
@click.option("--from", "start", metavar="WHEN", help="From this entry id, time, or duration ago.")
@click.option("--until", metavar="WHEN", help="Up to this entry id, time, or duration ago; by default up to now.")
@into_option
@rate_option
@queue_options
@dry_run_option
def replay(
    selection: Selection,
    words: tuple[str, ...],
    ids: tuple[str, ...],
    start: str | None,
    until: str | None,
    into: str,
    rate: float | None,
    dry_run: bool,
) -> None:
    """Copy entries of QUEUE's stream to its end, or into another stream, as new tasks that name their origin.

    Into the queue itself only where its stream has no other group, since copies would reach it too, or where its
    delivery.requeue is all-groups.
    """
    if bool(ids) == bool(start):
        raise BadInput("choose entries by --id, or by --from and perhaps --until")
    if until is not None and not start:
        raise BadInput("--until needs --from")
    if wrong := [word for word in ids if not is_entry_id(word)]:
        raise BadInput(f"--id: {wrong[0]!r} is no entry id, as in 1700000000000-0")
    asyncio.run(_replay(only_queue(selection, words), ids, start, until, into, rate, dry_run))


async def _replay(
    selection: Selection,
    ids: tuple[str, ...],
    start: str | None,
    until: str | None,
    into: str,
    rate: float | None,
    dry_run: bool,
) -> None:
    async with open_target(selection) as target:
        goal = await goal_of(target, into)
        ranges = [(word, word) for word in dict.fromkeys(ids)] or [await _range(target, start or "", until)]
        pages = [header_pages(target.client, target.spec.stream, *each) for each in ranges]
        total = sum([len(page) for each in pages async for page in each])
        if dry_run:
            click.echo(f"{counted(total, 'entry', 'entries')} would be copied into {goal} (dry run)")
            return
        done, left_out = await _copy(target, ranges, total, into, rate)
    click.echo(f"{counted(done, 'entry', 'entries')} copied into {goal}")
    if left_out:
        first = ", ".join(left_out[:_NAMED]) + (" …" if len(left_out) > _NAMED else "")
        raise Failure(f"{len(left_out)} left out, with more fields than can be copied: {first}")


async def _range(target: Target, start: str, until: str | None) -> tuple[str, str]:
    """The newest id is fixed now: a replay into its own stream would follow itself for ever."""
    found = await target.snapshot()
    first = parse_moment(start, found.time, "--from")
    newest = await read_entries(target.client, target.spec.stream, count=1, newest=True)
    last = parse_moment(until, found.time, "--until") if until is not None else newest[0].id if newest else "0-0"
    if until is not None and _order(last) < _order(first, 0):
        raise BadInput("--until is before --from: nothing lies between them")
    if newest and _order(newest[0].id) < _order(last):
        last = newest[0].id
    return first, last


def _order(entry_id: str, bare: int = 2**64 - 1) -> tuple[int, int]:
    """A bare time ends a range with the last id of that millisecond, and begins one with the first."""
    milliseconds, _, sequence = entry_id.partition("-")
    return int(milliseconds), int(sequence) if sequence else bare


async def _copy(
    target: Target, ranges: list[tuple[str, str]], total: int, into: str, rate: float | None
) -> tuple[int, list[str]]:
    """How many were copied, and what was left out."""
    done, left_out, left, pace = 0, list[str](), list(ranges), Pace(rate)
    with progress("replaying", total) as advance:
        try:
            await pace.wait(pace.step)
            while left:
                first, last = left[0]
                async for step in copies(target.client, target.spec, first, last, into=into, step=pace.step):
                    done, left[0] = done + step.copied, (successor(step.reached), last)
                    left_out += step.left_out
                    advance(step.copied + len(step.left_out))
                    await pace.wait(step.copied)
                del left[0]
        except WouldReachOthers:
            raise Failure(f"{done} copied; {reaches_others(target.spec.stream)}") from None
        except RedisProblem as problem:
            raise Failure(f"{problem.message}; {_so_far(done, pace, left)}") from None
        except asyncio.CancelledError:  # Ctrl-C
            click.echo(f"Interrupted: {_so_far(done, pace, left)}", err=True)
            raise
    return done, left_out


def _so_far(done: int, pace: Pace, left: list[tuple[str, str]]) -> str:
    return f"{done} copied, the next {pace.step} perhaps: go on with {_options(left)}"


def _options(left: list[tuple[str, str]]) -> str:
    """Those that choose what is left and no more: beyond it there may be copies by now."""
    ids = [f"--id {last}" for first, last in left if first == last]
    first, last = left[0]
    return " ".join(ids) or f"--from {first} --until {last}"

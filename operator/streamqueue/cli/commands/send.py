"""Tasks into a queue."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Iterable, Iterator
from typing import IO

import click

from streamqueue.cli.errors import BadInput, Failure
from streamqueue.cli.options import SECONDS, Selection, dry_run_option, queue_argument, queue_options, rate_option
from streamqueue.cli.output import printable
from streamqueue.cli.progress import Pace, progress
from streamqueue.cli.target import Target, open_target
from streamqueue.streams.enqueue import MAX_FIELDS, NewTask, enqueue
from streamqueue.streams.errors import RedisProblem, execute

Fields = dict[str, str]


@click.command(short_help="Add a task to QUEUE, or one for each line of a file.")
@queue_argument("[QUEUE] [FIELD=VALUE]...")
@click.option(
    "-f", "--file", type=click.File(encoding="utf-8-sig"), help="One task a line as a JSON object; - is standard input."
)
@click.option("--task-id", metavar="ID", help="The task's own id: sent again within an hour, it adds nothing.")
@click.option("--delay", type=SECONDS, default=0.0, help="Let the task wait for this long before it enters the stream.")
@click.option("--create", is_flag=True, help="Straight on Redis: create the stream where it does not exist.")
@rate_option
@queue_options
@dry_run_option
def send(
    selection: Selection,
    words: tuple[str, ...],
    file: IO[str] | None,
    task_id: str | None,
    delay: float,
    create: bool,
    rate: float | None,
    dry_run: bool,
) -> None:
    """Add a task to QUEUE, or one for each line of a file; prints the new entries' ids."""
    chosen, pairs = selection.take_queue(words, reads=False)
    if bool(pairs) == (file is not None):
        raise BadInput("give the task as FIELD=VALUE words, or --file FILE")
    if file and task_id:
        raise BadInput("--task-id is for one task, --file for many")
    if task_id == "":
        raise BadInput("--task-id is empty: leave it out, or give an id")
    tasks = list(_lines(file) if file else [_task(pairs)])
    if dry_run:
        click.echo(f"{len(tasks)} task(s) would be added to {chosen.label} (dry run)")
        return
    asyncio.run(_send(chosen, tasks, task_id, delay, rate, create))


def _task(pairs: Iterable[str]) -> Fields:
    split = [pair.partition("=") for pair in pairs]
    for name, equals, _ in split:
        if not (name and equals):
            raise BadInput(f"{name!r} is no FIELD=VALUE")
    fields = {name: value for name, _, value in split}
    if len(fields) < len(split):
        names = [name for name, _, _ in split]
        raise BadInput(f"field {next(name for name in names if names.count(name) > 1)!r} is there twice")
    return _text(fields, "the task")


def _lines(file: Iterable[str]) -> Iterator[Fields]:
    try:
        for number, line in enumerate(file, 1):
            if line.strip():
                yield _object(line, number)
    except UnicodeDecodeError as error:
        raise BadInput(f"--file: no UTF-8 text: {error.reason}") from None


def _object(line: str, number: int) -> Fields:
    """Strings go as they are, other values as JSON: a stream holds text."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError) as error:  # of too many digits, too many brackets
        raise BadInput(f"--file: line {number} is no JSON: {error}") from None
    if not isinstance(found, dict) or not found:
        raise BadInput(f"--file: line {number} must be a JSON object with at least one field")
    fields = {name: value if isinstance(value, str) else json.dumps(value) for name, value in found.items()}
    return _text(fields, f"--file: line {number}")


def _text(fields: Fields, where: str) -> Fields:
    """Half a surrogate pair ends no call in its middle, and more fields than scripts copy hold up nothing later."""
    if len(fields) > MAX_FIELDS:
        raise BadInput(f"{where} has {len(fields)} fields, and may have {MAX_FIELDS}: send one field of JSON")
    try:
        "".join((*fields, *fields.values())).encode()
    except UnicodeEncodeError:
        raise BadInput(f"{where} holds what is no Unicode text") from None
    return fields


async def _send(
    selection: Selection, tasks: list[Fields], task_id: str | None, delay: float, rate: float | None, create: bool
) -> None:
    async with open_target(selection) as target:
        if selection.straight and not create:
            await _require_stream(target)
        pace = Pace(rate)
        with progress("sending", len(tasks), beside_lines=True) as advance:
            for done, task in enumerate(tasks):
                try:
                    await pace.wait(1)
                    added = await _add(target, task, task_id, delay)
                except RedisProblem as problem:
                    raise Failure(f"{problem.message}; {_so_far(done)}") from None
                except asyncio.CancelledError:  # Ctrl-C
                    click.echo(f"Interrupted: {_so_far(done)}", err=True)
                    raise
                try:
                    click.echo(added)
                except OSError as error:
                    said = f"the ids can't be printed: {error.strerror}; {done + 1} task(s) were added"
                    raise Failure(said) from None
                advance(1)


def _so_far(done: int) -> str:
    return f"{done} task(s) were added, the next one perhaps"


async def _require_stream(target: Target) -> None:
    """A slip in the name must not make a stream that nobody reads."""
    if not await execute(target.client, "EXISTS", target.spec.stream):
        raise BadInput(f"there is no stream {target.spec.stream!r}: check the name, or add --create")


async def _add(target: Target, task: Fields, task_id: str | None, delay: float) -> str:
    """The id to ask for later: of the entry, or of the task where it has one of its own."""
    if task_id is None and not delay:
        flat = [part for pair in task.items() for part in pair]
        entry_id: bytes = await execute(target.client, "XADD", target.spec.stream, "*", *flat)
        return entry_id.decode()
    new = NewTask(task_id or secrets.token_hex(16), tuple(task.items()), delay)
    (sent,) = await enqueue(target.client, target.spec.stream, [new])
    if sent.repeated:
        click.echo(f"{printable(new.id)} was sent before: nothing is added", err=True)
    return new.id

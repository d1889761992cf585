"""What became of a task."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import click

from streamqueue.api.keys import Keys
from streamqueue.cli.errors import BadInput
from streamqueue.cli.moments import utc_time
from streamqueue.cli.options import Selection, a_task, output_option, queue_argument, queue_options
from streamqueue.cli.output import Column, shorten, show_one
from streamqueue.cli.target import open_target
from streamqueue.worker.producer.results import look_up

_WIDTH = 80  # of the result in a table

COLUMNS = (
    Column("TASK", lambda row: row["task"]),
    Column("STATE", lambda row: row["state"]),
    Column("SINCE", lambda row: row["since"]),
    Column("PROGRESS", lambda row: _progress(row)),
    Column("RESULT", lambda row: shorten(_outcome(row), _WIDTH)),
    Column("WORKER", lambda row: row["worker"], wide=True),
    Column("ATTEMPT", lambda row: row["attempt"], wide=True),
)


@click.command(short_help="What became of the task ID, with its result or error.")
@queue_argument("[QUEUE] ID")
@queue_options
@output_option
def result(selection: Selection, words: tuple[str, ...], output: str) -> None:
    """What became of the task ID of QUEUE: waiting, pending, running, done or dead, with its result or error.

    Where the queue keeps no results (spec.results), no more can be told than waiting, pending and unknown.
    """
    chosen, rest = selection.take_queue(words)
    if len(rest) != 1:
        raise BadInput(f"{rest[1]!r} is one word too many: one task at a time" if rest else "give the task's id")
    show_one(asyncio.run(_result(chosen, a_task(rest[0]))), COLUMNS, output, "state")


async def _result(selection: Selection, task_id: str) -> dict[str, Any]:
    async with open_target(selection) as target:
        found = await look_up(target.client, Keys(target.spec.stream, target.spec.group), task_id)
    since = found.started if found.state == "running" else found.at
    return {
        "task": task_id,
        "state": str(found.state),
        "since": None if since is None else utc_time(since),
        "worker": found.worker,
        "attempt": found.attempt,
        "progress": found.progress,
        "message": found.message or None,
        "error": found.error,
        "result": found.value,
    }


def _progress(row: Any) -> str | None:
    if row["state"] != "running" or row["progress"] is None:
        return None
    return f"{row['progress']:.0%} {row['message'] or ''}".rstrip()


def _outcome(row: Any) -> str:
    if row["error"] is not None:
        return str(row["error"])
    return "-" if row["result"] is None else json.dumps(row["result"], ensure_ascii=False)

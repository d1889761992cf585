"""Where `replay` and `dlq redrive` copy to, and what stands against it: asked before a copy is made, or would be."""

from __future__ import annotations

from typing import Any

import click

from streamqueue.api.keys import tagged
from streamqueue.cli.errors import BadInput, Failure
from streamqueue.cli.target import Target
from streamqueue.streams.reach import Reach


def _named(context: click.Context, parameter: click.Parameter, into: str | None) -> str:
    """An empty variable must not stand for the queue's own stream."""
    if into == "":
        raise BadInput("--into names no stream: leave it out for the queue's own")
    return into or ""


def into_option(command: Any) -> Any:
    """`into`: "" for the queue's own stream."""
    return click.option(
        "--into", metavar="STREAM", callback=_named, help="Into this stream instead of the queue's own."
    )(command)


async def goal_of(target: Target, into: str) -> str:
    """The stream that copies go into. Raises BadInput where no script reaches it; Failure where other groups would get
    them too, or there is no stream or group; RedisProblem.
    """
    stream = target.spec.stream
    if into in ("", stream):
        if (await target.snapshot()).groups > 1 and not target.spec.delivery.reaches_others:
            raise Failure(reaches_others(stream))
        return stream
    if not await Reach(target.client, stream).covers(into):
        raise BadInput(
            f"--into: {into} and {stream} may be on different nodes of this Redis Cluster: give it the same hash tag, "
            f"as in {tagged(stream)}:NAME"
        )
    return into


def reaches_others(stream: str) -> str:
    """Why nothing is copied into the queue's own stream."""
    return f"stream {stream} has other groups, which would get the copies too: give --into STREAM"

"""The queue to try and the arrivals to try it on: from files, the cluster, or the queue's own stream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from streamqueue.api.keys import Keys
from streamqueue.api.spec import QueueSpec
from streamqueue.cli.cluster import open_cluster
from streamqueue.cli.decisions.fetch import fetch
from streamqueue.cli.errors import BadInput, Failure
from streamqueue.cli.manifest import read_queue
from streamqueue.cli.moments import parse_moment, utc_time
from streamqueue.cli.options import Selection, only_queue
from streamqueue.cli.output import printable
from streamqueue.cli.progress import progress
from streamqueue.cli.target import Target, open_target, reach, spec_of
from streamqueue.streams import connect

if TYPE_CHECKING:
    from streamqueue.simulate.trace import Trace


@dataclass(frozen=True, slots=True)
class Source:
    """As typed. `which`: of the manifest's queues. `csv` None: from the stream, `since` a moment; `service` is seconds
    a task, where no result tells.
    """

    manifest: Path | None
    which: str | None
    csv: Path | None
    since: str | None
    service: float | None
    seed: int


def load(selection: Selection, words: tuple[str, ...], source: Source) -> tuple[QueueSpec, Trace]:
    """Raises BadInput, Failure, RedisProblem, and TraceError.

    Files are read outside of asyncio, which would keep Ctrl-C waiting for them, and then forget it.
    """
    from streamqueue.simulate.trace import read_trace

    tried = read_queue(source.manifest, source.which).spec if source.manifest else None
    if source.csv is not None and tried and words:
        raise BadInput(f"{words[0]!r} is one word too many: -f FILE says what is tried, --trace on what")
    if source.csv is not None:
        trace = read_trace(source.csv)
        return tried or asyncio.run(_spec_in_cluster(selection, words)), trace
    return asyncio.run(_from_stream(selection, words, source, tried))


async def _from_stream(
    selection: Selection, words: tuple[str, ...], source: Source, tried: QueueSpec | None
) -> tuple[QueueSpec, Trace]:
    async with AsyncExitStack() as stack:
        if words or selection.straight or tried is None:
            target = await stack.enter_async_context(open_target(only_queue(selection, words)))
        else:
            target = await stack.enter_async_context(_target_of(selection, tried))
        return tried or target.spec, await _history(target, source)


async def _spec_in_cluster(selection: Selection, words: tuple[str, ...]) -> QueueSpec:
    if not words:
        raise BadInput("give -f FILE, or name a QUEUE whose spec is to be tried")
    chosen = only_queue(replace(selection, stream=None, group=None), words)
    async with open_cluster(chosen) as cluster:
        return spec_of(await cluster.queue(chosen.queue))


@asynccontextmanager
async def _target_of(selection: Selection, spec: QueueSpec) -> AsyncIterator[Target]:
    """The stream that a manifest names, by --redis or as the manifest says."""
    if selection.redis:
        async with connect(selection.redis, ca_file=selection.ca_file) as client:
            yield Target(selection, spec, client)
    else:
        async with open_cluster(selection) as cluster, reach(cluster, spec.redis, selection) as client:
            yield Target(selection, spec, client)


async def _history(target: Target, source: Source) -> Trace:
    from streamqueue.simulate import history

    spec = target.spec
    start = "-"
    if source.since is not None:
        start = parse_moment(source.since, (await target.snapshot()).time, "--since")
    with progress("reading the stream", None) as advance:
        arrivals = await history.read_arrivals(target.client, spec.stream, start, advance)
        known = await history.known_services(
            target.client, Keys(spec.stream, spec.group), [task for task, _ in arrivals]
        )
    if len(arrivals) >= history.MOST:
        last = utc_time(arrivals[-1][1])
        said = f"only the oldest {len(arrivals):,} tasks of stream {spec.stream} were read, up to {last}"
        click.echo(f"{printable(said)}: --since begins later", err=True)
    otherwise = source.service
    if otherwise is None and not known and target.selection.queue:
        otherwise = await _learnt(target.selection)
    return history.history_trace(spec.stream, arrivals, known, otherwise, source.seed)


async def _learnt(selection: Selection) -> float | None:
    """Service seconds as the operator's law has learnt them; None where nobody answers or knows."""
    try:
        async with open_cluster(selection) as cluster:
            learnt: float | None = (await fetch(cluster, selection.queue))["serviceSeconds"]
    except Failure:
        return None
    return learnt
